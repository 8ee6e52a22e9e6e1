//! `muster message`: what sessions and operators tell and ask one another. Whoever uses it writes as an operator.

use crate::args::Global;
use crate::ask::{self, AskError, request_id};
use crate::{format, hub, output};
use muster_domain::ids::MessageId;
use muster_domain::message::Status;
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{
    MessageOutcome, MessageRow, MessagesAckRequest, MessagesAcked, MessagesAnswerRequest, MessagesAnswered,
    MessagesAskRequest, MessagesCancelRequest, MessagesList, MessagesListRequest, MessagesSendRequest, MessagesSent,
    MessagesThreads,
};
use muster_wire::subject::Operation;
use serde::Serialize;
use std::process::ExitCode;

/// Characters of a body in a table.
const BODY: usize = 60;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tell a session something, or all of them; needs the operator's token
    Send {
        /// A session's id, HOST/SESSION, or * for every live session
        #[arg(value_name = "TO")]
        to: String,
        /// What
        #[arg(value_name = "TEXT")]
        body: String,
        /// The message that it answers
        #[arg(long, value_name = "MESSAGE")]
        reply_to: Option<MessageId>,
    },
    /// Ask a session something; the answer comes to the operators' inbox. Needs the operator's token
    Ask {
        /// A session's id, or HOST/SESSION
        #[arg(value_name = "TO")]
        to: String,
        /// What
        #[arg(value_name = "QUESTION")]
        question: String,
        /// An answer to choose; once for each
        #[arg(long = "option", value_name = "ANSWER")]
        options: Vec<String>,
        /// Several of them may be chosen
        #[arg(long, requires = "options")]
        multi: bool,
        /// For how many seconds it waits; 3600 without it, 21600 at most
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
    },
    /// The operators' inbox, or a session's
    List {
        /// This session's
        #[arg(long)]
        session: Option<SessionId>,
        /// Its host, where two have the id
        #[arg(long)]
        host: Option<HostName>,
        /// Also what was read, answered or given up
        #[arg(long)]
        all: bool,
        /// The last message of the page before
        #[arg(long, value_name = "MESSAGE")]
        cursor: Option<MessageId>,
        /// Rows at most
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Questions and reminders that are open
    Threads {
        /// This session's
        #[arg(long)]
        session: Option<SessionId>,
        /// Its host, where two have the id
        #[arg(long)]
        host: Option<HostName>,
    },
    /// Answer a question; needs the operator's token
    Answer {
        /// The question
        #[arg(value_name = "MESSAGE")]
        id: MessageId,
        /// The answer: in words, unless --option chooses
        #[arg(value_name = "TEXT", required_unless_present = "choices")]
        text: Option<String>,
        /// One of its options; once for each
        #[arg(long = "option", value_name = "ANSWER")]
        choices: Vec<String>,
    },
    /// Say that messages in the operators' inbox were read; needs the operator's token
    Ack {
        /// Which
        #[arg(value_name = "MESSAGE", required = true)]
        ids: Vec<MessageId>,
    },
    /// Take back what was not read, or a question that was not answered; needs the operator's token
    Cancel {
        /// Which
        #[arg(value_name = "MESSAGE")]
        id: MessageId,
    },
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let request_id = Some(request_id());
    match args.command {
        Command::Send { to, body, reply_to } => {
            let question = MessagesSendRequest {
                to,
                body,
                reply_to,
                request_id,
            };
            let sent: MessagesSent = ask::command(&bus, global, Operation::MessagesSend, &question).await?;
            show(global, &sent, || said(&sent))?;
        }
        Command::Ask {
            to,
            question,
            options,
            multi,
            ttl,
        } => {
            let question = MessagesAskRequest {
                question,
                options,
                multi,
                to: Some(to),
                ttl_seconds: ttl,
                request_id,
            };
            let sent: MessagesSent = ask::command(&bus, global, Operation::MessagesAsk, &question).await?;
            show(global, &sent, || said(&sent))?;
        }
        Command::List {
            session,
            host,
            all,
            cursor,
            limit,
        } => {
            let question = MessagesListRequest {
                session,
                host,
                all,
                cursor,
                limit,
            };
            let listed = ask::ask(&bus, Operation::MessagesList, &question).await;
            let (_, list): (_, MessagesList) = listed.map_err(AskError::fatal)?;
            show(global, &list, || inbox(&list, format::now()))?;
            if let Some(cursor) = list.next_cursor.filter(|_| !global.json) {
                output::remark(&format!("there are more: --cursor {cursor}"));
            }
        }
        Command::Threads { session, host } => {
            let question = MessagesListRequest {
                session,
                host,
                ..MessagesListRequest::default()
            };
            let listed = ask::ask(&bus, Operation::MessagesThreads, &question).await;
            let (_, threads): (_, MessagesThreads) = listed.map_err(AskError::fatal)?;
            show(global, &threads, || open(&threads, format::now()))?;
        }
        Command::Answer { id, text, choices } => {
            let question = MessagesAnswerRequest {
                id,
                choices,
                text,
                request_id,
            };
            let answered: MessagesAnswered = ask::command(&bus, global, Operation::MessagesAnswer, &question).await?;
            show(global, &answered, || outcome(&answered, "answered"))?;
        }
        Command::Ack { ids } => {
            let question = MessagesAckRequest { ids, request_id };
            let acked: MessagesAcked = ask::command(&bus, global, Operation::MessagesAck, &question).await?;
            show(global, &acked, || format!("{} unread", acked.unread))?;
        }
        Command::Cancel { id } => {
            let question = MessagesCancelRequest { id, request_id };
            let cancelled: MessagesAnswered = ask::command(&bus, global, Operation::MessagesCancel, &question).await?;
            show(global, &cancelled, || outcome(&cancelled, "taken back"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show<T: Serialize>(global: &Global, answer: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    if global.json {
        return output::json(answer);
    }
    output::line(&text());
    Ok(())
}

fn said(sent: &MessagesSent) -> String {
    let messages = sent.messages.iter();
    let lines = messages.map(|message| format!("{} to {}", message.id, format::shorten(&message.to, 120)));
    let more = sent.count.saturating_sub(sent.messages.len());
    let more = (more > 0).then(|| format!("and {more} more"));
    lines.chain(more).collect::<Vec<_>>().join("\n")
}

fn outcome(answered: &MessagesAnswered, done: &str) -> String {
    let message = &answered.message;
    if answered.outcome == MessageOutcome::Applied {
        return format!("{}: {done}", message.id);
    }
    match (&message.answer, &message.reason) {
        (Some(answer), _) => format!("{}: {} answered before", message.id, format::shorten(&answer.by, 80)),
        (None, Some(reason)) => format!("{}: over before ({reason})", message.id),
        (None, None) => format!("{}: over before", message.id),
    }
}

fn inbox(list: &MessagesList, now: Timestamp) -> String {
    let whose = format!(
        "{} unread in the inbox of {}",
        list.unread,
        format::shorten(&list.inbox, 120)
    );
    if list.messages.is_empty() {
        return whose;
    }
    format!("{whose}\n{}", table(&list.messages, now))
}

fn open(threads: &MessagesThreads, now: Timestamp) -> String {
    let parts = [
        ("to answer", &threads.to_answer),
        ("asked", &threads.asked),
        ("reminders", &threads.reminders),
    ];
    let parts = parts.iter().filter(|(_, rows)| !rows.is_empty());
    let parts: Vec<String> = parts
        .map(|(what, rows)| format!("{what}:\n{}", table(rows, now)))
        .collect();
    if parts.is_empty() {
        return "nothing is open".to_owned();
    }
    parts.join("\n")
}

fn table(rows: &[MessageRow], now: Timestamp) -> String {
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            [
                row.id.to_string(),
                format::age(now, row.sent),
                format::shorten(&row.from, 40),
                status(row).to_owned(),
                format::shorten(&words(row), BODY),
            ]
        })
        .collect();
    format::table(["MESSAGE", "AGE", "FROM", "STATUS", "TEXT"], &cells)
}

fn words(row: &MessageRow) -> String {
    if row.options.is_empty() {
        row.body.clone()
    } else {
        format!("{} [{}]", row.body, row.options.join(" | "))
    }
}

const fn status(row: &MessageRow) -> &'static str {
    match row.status {
        Status::Waiting => "unread",
        Status::Delivered => "taken",
        Status::Acked => "read",
        Status::Answered => "answered",
        Status::Expired => "over",
    }
}
