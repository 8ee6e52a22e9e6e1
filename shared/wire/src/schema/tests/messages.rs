//! Requests of messages, each with every member set.

use super::super::*;
use super::{Full, full};
use crate::api::{
    MessagesAckRequest, MessagesAnswerRequest, MessagesAskRequest, MessagesCancelRequest, MessagesListRequest,
    MessagesReceiveRequest, MessagesRemindRequest, MessagesSendRequest, MessagesThreadsRequest,
};
use muster_domain::ids::MessageId;
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;

pub(super) fn requests() -> Vec<Full> {
    let id = || -> MessageId { "0198f3c2-0000-7000-8000-00000000000a".parse().unwrap() };
    let request_id = || Some("q".to_owned());
    let words = || "w".to_owned();
    let list = MessagesListRequest {
        session: SessionId::new("s1").ok(),
        host: HostName::new("web-01").ok(),
        all: true,
        cursor: Some(id()),
        limit: Some(5),
    };
    vec![
        full(
            Operation::MessagesSend,
            &MessagesSendRequest {
                to: words(),
                body: words(),
                reply_to: Some(id()),
                request_id: request_id(),
            },
        ),
        full(
            Operation::MessagesAsk,
            &MessagesAskRequest {
                question: words(),
                options: vec![words()],
                multi: true,
                to: Some(words()),
                ttl_seconds: Some(1),
                request_id: request_id(),
            },
        ),
        full(
            Operation::MessagesRemind,
            &MessagesRemindRequest {
                body: words(),
                in_seconds: Some(1),
                at: Some(Timestamp::default()),
                request_id: request_id(),
            },
        ),
        full(
            Operation::MessagesReceive,
            &MessagesReceiveRequest {
                max: Some(1),
                wait_seconds: Some(1),
                request_id: request_id(),
            },
        ),
        full(
            Operation::MessagesAck,
            &MessagesAckRequest {
                ids: vec![id()],
                request_id: request_id(),
            },
        ),
        full(
            Operation::MessagesAnswer,
            &MessagesAnswerRequest {
                id: id(),
                choices: vec![words()],
                text: Some(words()),
                request_id: request_id(),
            },
        ),
        full(
            Operation::MessagesCancel,
            &MessagesCancelRequest {
                id: id(),
                request_id: request_id(),
            },
        ),
        full(Operation::MessagesList, &list),
        full(
            Operation::MessagesThreads,
            &MessagesThreadsRequest {
                session: list.session.clone(),
                host: list.host.clone(),
                limit: list.limit,
            },
        ),
    ]
}
