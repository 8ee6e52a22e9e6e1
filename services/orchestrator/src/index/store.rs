//! The file: its tables, and what is written into it in one transaction.
//!
//! Rows of events, calls and turns are keyed by the log's sequences, and the watermark is written with them, so the file is
//! at every moment exactly the index of a beginning of the log. Nothing is synced for it: what a power cut takes is read
//! from the log again.

use super::draw::{Call, Entry, Said, Turn};
use muster_bus::StreamState;
use muster_domain::time::Timestamp;
use muster_wire::api::Indexed;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// Its name, without those of its log.
const FILE: &str = "search.db";
/// Changes when the tables do: an index of another format is drawn anew.
const FORMAT: u32 = 1;
/// Rows removed in one transaction: between two of them events are drawn.
const REMOVED_TOGETHER: u64 = 1000;
/// How long a reader waits for a checkpoint.
const BUSY: Duration = Duration::from_secs(2);

/// 1 MiB of page cache to write, so that words of a batch meet the same pages.
const SETTINGS: &str = "pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -1024;
    pragma temp_store = file; pragma journal_size_limit = 8388608;";
/// Two readers at a time have the other half.
const READER_SETTINGS: &str = "pragma cache_size = -512; pragma temp_store = file; pragma query_only = on;";

const SCHEMA: &str = "
    create table progress (created_ms integer not null, seq integer not null, first_seq integer not null);
    create table session (id integer primary key, host text not null, name text not null, agent text,
        last_seq integer not null, unique (host, name));
    create table event (seq integer primary key, id blob not null unique, at_ms integer not null,
        session integer not null, kind text, tool text);
    create table call (id integer primary key, seq integer not null, at_ms integer not null, session integer not null,
        name text, tool text not null, file text, duration_ms integer, outcome integer not null);
    create unique index call_name on call (session, name) where name is not null;
    create index call_seq on call (seq);
    create table turn (seq integer primary key, at_ms integer not null, session integer not null, ok integer not null,
        input integer not null, output integer not null);
    create virtual table words using fts5 (text, tokenize = \"unicode61 remove_diacritics 2\");";

/// How far the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// When the log was created.
    pub(super) created: Timestamp,
    /// The last sequence drawn.
    pub(super) seq: u64,
    /// The log's oldest sequence, as it was last seen.
    pub(super) first_seq: u64,
}

impl Progress {
    pub(super) const fn indexed(&self) -> Indexed {
        Indexed {
            indexed_seq: self.seq,
            indexed_from: self.first_seq,
        }
    }
}

/// The file, to write to.
pub(super) struct Store {
    connection: Connection,
}

/// The file, to read from.
pub(super) fn open_reader(dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(FILE), flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(READER_SETTINGS)?;
    Ok(connection)
}

/// Made for this user alone, as its log is then too: what agents were told is nobody else's business on a shared host.
fn open(dir: &Path) -> Result<Connection, super::IndexError> {
    let path = dir.join(FILE);
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)?;
    Ok(Connection::open(path)?)
}

/// How far the index is.
pub(super) fn progress(connection: &Connection) -> rusqlite::Result<Progress> {
    connection.query_row("select created_ms, seq, first_seq from progress", [], |row| {
        Ok(Progress {
            created: Timestamp::from_millis(row.get(0)?),
            seq: row.get::<_, i64>(1)?.cast_unsigned(),
            first_seq: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    })
}

/// Moves a file that cannot be read to another name, in place of one that was moved before: one is enough to look at, and
/// what it held is in the log.
pub(super) fn set_aside(dir: &Path) -> io::Result<()> {
    each_part(|part| {
        let from = dir.join(format!("{FILE}{part}"));
        fs::rename(from, dir.join(format!("{FILE}.damaged{part}")))
    })
}

fn remove(dir: &Path) -> io::Result<()> {
    each_part(|part| fs::remove_file(dir.join(format!("{FILE}{part}"))))
}

/// The log first: left behind, it would be taken for that of the file that comes next.
fn each_part(act: impl Fn(&str) -> io::Result<()>) -> io::Result<()> {
    for part in ["-wal", "-shm", ""] {
        match act(part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

impl Store {
    /// The index in `dir` of this log; a new one where there is none, or one of another log, another format, or more than the
    /// log has.
    pub(super) fn open(dir: &Path, log: StreamState) -> Result<(Self, Progress), super::IndexError> {
        let created = log.created;
        let connection = open(dir)?;
        let format: u32 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
        if format == FORMAT {
            connection.execute_batch(SETTINGS)?;
            let progress = progress(&connection)?;
            if progress.created == created && progress.seq <= log.last_seq {
                return Ok((Self { connection }, progress));
            }
        }
        drop(connection);
        remove(dir)?;
        let mut connection = open(dir)?;
        connection.execute_batch(SETTINGS)?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("insert into progress values (?, 0, 0)", [created.as_millis()])?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
        let progress = progress(&connection)?;
        Ok((Self { connection }, progress))
    }

    /// Draws events in, up to `seq`.
    pub(super) fn write(&mut self, entries: &[Entry], seq: u64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for entry in entries {
            write(&transaction, entry)?;
        }
        transaction
            .prepare_cached("update progress set seq = ?")?
            .execute([seq.cast_signed()])?;
        transaction.commit()
    }

    /// Removes some of what the log, which begins at `first_seq`, no longer has; whether there is more of it.
    pub(super) fn forget(&mut self, first_seq: u64) -> rusqlite::Result<bool> {
        let transaction = self.connection.transaction()?;
        let oldest: Option<i64> = transaction.query_row("select min(seq) from event", [], |row| row.get(0))?;
        let oldest = oldest.map_or(first_seq, i64::cast_unsigned);
        let until = first_seq.min(oldest.saturating_add(REMOVED_TOGETHER)).cast_signed();
        transaction.execute(
            "delete from words where rowid in (select seq from event where seq < ?)",
            [until],
        )?;
        for table in ["event", "call", "turn"] {
            transaction.execute(&format!("delete from {table} where seq < ?"), [until])?;
        }
        let more = until.cast_unsigned() < first_seq;
        if !more {
            transaction.execute("delete from session where last_seq < ?", [until])?;
            transaction.execute("update progress set first_seq = ?", [until])?;
        }
        transaction.commit()?;
        Ok(more)
    }
}

/// An observation that was stored twice has one id, and counts once.
fn write(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let (seq, at_ms) = (entry.seq.cast_signed(), entry.at.as_millis());
    let session: i64 = transaction
        .prepare_cached(
            "insert into session (host, name, agent, last_seq) values (?, ?, ?, ?) on conflict (host, name) do update
             set agent = coalesce(excluded.agent, agent), last_seq = excluded.last_seq returning id",
        )?
        .query_row(params![entry.host, entry.session, entry.agent, seq], |row| row.get(0))?;
    let new = transaction
        .prepare_cached("insert or ignore into event (seq, id, at_ms, session) values (?, ?, ?, ?)")?
        .execute(params![seq, entry.id.as_bytes(), at_ms, session])?;
    if new == 0 {
        return Ok(());
    }
    let began = match &entry.call {
        Some(call) => write_call(transaction, entry, call, session)?,
        None => false,
    };
    if let Some(Turn { ok, input, output }) = entry.turn {
        transaction
            .prepare_cached("insert into turn values (?, ?, ?, ?, ?, ?)")?
            .execute(params![
                seq,
                at_ms,
                session,
                ok,
                input.cast_signed(),
                output.cast_signed()
            ])?;
    }
    let Some(Said { kind, text }) = entry.said(began) else {
        return Ok(());
    };
    transaction
        .prepare_cached("update event set kind = ?, tool = ? where seq = ?")?
        .execute(params![kind.as_str(), entry.call.as_ref().map(|call| &call.tool), seq])?;
    transaction
        .prepare_cached("insert into words (rowid, text) values (?, ?)")?
        .execute(params![seq, text])?;
    Ok(())
}

/// Files a call under its name, where it has one; whether it was known to have begun.
fn write_call(transaction: &Transaction<'_>, entry: &Entry, call: &Call, session: i64) -> rusqlite::Result<bool> {
    let (seq, at_ms) = (entry.seq.cast_signed(), entry.at.as_millis());
    let known: Option<(i64, i64)> = transaction
        .prepare_cached("select id, at_ms from call where session = ? and name = ?")?
        .query_row(params![session, call.name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, began_ms)) = known else {
        transaction
            .prepare_cached(
                "insert into call (seq, at_ms, session, name, tool, file, duration_ms, outcome)
                 values (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                seq,
                at_ms,
                session,
                call.name,
                call.tool,
                call.file,
                call.duration_ms,
                call.outcome as u8
            ])?;
        return Ok(false);
    };
    if call.outcome.is_over() {
        // Its agent measures better than the log does.
        let duration_ms = call.outcome.ran().then(|| call.duration_ms.unwrap_or(at_ms - began_ms));
        transaction
            .prepare_cached("update call set duration_ms = ?, outcome = ? where id = ?")?
            .execute(params![duration_ms, call.outcome as u8, id])?;
    }
    Ok(true)
}
