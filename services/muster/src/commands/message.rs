//! `muster message`: what sessions and operators tell and ask one another. Whoever uses it writes as an operator.

use crate::args::Global;
use crate::ask::{self, AskError, request_id};
use crate::{format, hub, output};
use muster_bus::Bus;
use muster_bus::service::Credentials;
use muster_domain::ids::MessageId;
use muster_domain::message::Status;
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{
    MessageOutcome, MessageRow, MessagesAckRequest, MessagesAcked, MessagesAnswerRequest, MessagesAnswered,
    MessagesAskRequest, MessagesCancelRequest, MessagesList, MessagesListRequest, MessagesReceiveRequest,
    MessagesReceived, MessagesRemindRequest, MessagesSendRequest, MessagesSent, MessagesThreads,
    MessagesThreadsRequest,
};
use muster_wire::subject::Operation;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// How long one request waits for a message.
const WAIT_AT_ONCE: Duration = Duration::from_secs(5);
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
    /// Take what waits in the operators' inbox, or a session's: for five minutes it is offered to nobody else. Needs the
    /// operator's token
    Recv {
        /// This session's, on its behalf
        #[arg(long)]
        session: Option<SessionId>,
        /// How long to wait where there is nothing
        #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = format::span_arg)]
        wait: Duration,
        /// Messages at most
        #[arg(long, value_name = "N")]
        max: Option<usize>,
    },
    /// Say that messages in the operators' inbox were read, or in a session's; needs the operator's token
    Ack {
        /// Which
        #[arg(value_name = "MESSAGE", required = true)]
        ids: Vec<MessageId>,
        /// In this session's, on its behalf
        #[arg(long)]
        session: Option<SessionId>,
    },
    /// A message to the operators at its time, or to a session from itself; needs the operator's token
    Remind {
        /// Of what
        #[arg(value_name = "TEXT")]
        body: String,
        /// In how long
        #[arg(long = "in", value_name = "DURATION", value_parser = format::span_arg, required_unless_present = "at")]
        after: Option<Duration>,
        /// When, instead (RFC 3339)
        #[arg(long, value_name = "TIME", value_parser = format::moment_arg, conflicts_with = "after")]
        at: Option<Timestamp>,
        /// This session, on its behalf
        #[arg(long)]
        session: Option<SessionId>,
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
            let question = MessagesThreadsRequest {
                session,
                host,
                ..MessagesThreadsRequest::default()
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
        Command::Recv { session, wait, max } => {
            let received = receive(&bus, &on_behalf(global, session)?, wait, max).await?;
            show(global, &received, || taken(&received))?;
        }
        Command::Ack { ids, session } => {
            let question = MessagesAckRequest { ids, request_id };
            let who = on_behalf(global, session)?;
            let acked = ask::order(&bus, &who, Operation::MessagesAck, &question).await;
            let (_, acked): (_, MessagesAcked) = acked.map_err(AskError::fatal)?;
            show(global, &acked, || format!("{} unread", acked.unread))?;
        }
        Command::Remind {
            body,
            after,
            at,
            session,
        } => {
            let question = MessagesRemindRequest {
                body,
                in_seconds: after.map(|after| after.as_secs()),
                at,
                request_id,
            };
            let who = on_behalf(global, session)?;
            let sent = ask::order(&bus, &who, Operation::MessagesRemind, &question).await;
            let (_, sent): (_, MessagesSent) = sent.map_err(AskError::fatal)?;
            show(global, &sent, || said(&sent))?;
        }
        Command::Cancel { id } => {
            let question = MessagesCancelRequest { id, request_id };
            let cancelled: MessagesAnswered = ask::command(&bus, global, Operation::MessagesCancel, &question).await?;
            show(global, &cancelled, || outcome(&cancelled, "taken back"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The operator, who may speak for any session.
fn on_behalf(global: &Global, session: Option<SessionId>) -> anyhow::Result<Credentials> {
    let own = hub::operator(global)?;
    Ok(Credentials {
        session: session.or(own.session),
        ..own
    })
}

/// Takes messages. A long wait is many short ones: none of them is longer than an answer may take.
async fn receive(bus: &Bus, who: &Credentials, wait: Duration, max: Option<usize>) -> anyhow::Result<MessagesReceived> {
    let until = Instant::now() + wait;
    let mut waits = wait;
    loop {
        let question = MessagesReceiveRequest {
            max,
            wait_seconds: Some(waits.min(WAIT_AT_ONCE).as_secs()),
            request_id: Some(request_id()),
        };
        let answer = ask::order(bus, who, Operation::MessagesReceive, &question).await;
        let (_, received): (_, MessagesReceived) = answer.map_err(AskError::fatal)?;
        let left = until.saturating_duration_since(Instant::now());
        waits = if received.waiting { Duration::ZERO } else { left };
        if !received.messages.is_empty() || (!received.waiting && left < Duration::from_secs(1)) {
            return Ok(received);
        }
    }
}

fn taken(received: &MessagesReceived) -> String {
    let each = received.messages.iter().map(|message| {
        let from = format::shorten(&message.from, 120);
        format!("{} from {from}:\n{}\n", message.id, words(message))
    });
    let unread = format!("{} unread", received.unread);
    each.chain([unread]).collect::<Vec<_>>().join("\n")
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
