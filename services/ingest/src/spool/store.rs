//! The store under the spool: what is written in one transaction, and what can be read.
//!
//! Each lane is a table keyed by sequence, so that appending touches the last leaf and trimming frees whole pages from the
//! front. The next sequence is not stored: it follows from the last record and the acked watermark, which is always written
//! together with a trim. That saves a page per commit.

mod lane;
mod read;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use muster_domain::ids::ProducerId;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Builder;

pub(super) use self::read::{open_reader, parked, parked_counts, read_from, stored_at};
use self::read::{producer, unsigned};
use super::{Lane, Origin, Parked, Stored, unix_ms};

pub(super) const FORMAT: u32 = 1;
const FILE: &str = "spool.db";
/// SQLite's own default, named because used bytes and the write-ahead log are counted in it.
pub(super) const PAGE_BYTES: u64 = 4096;
/// Rows rewritten between two looks at a cursor; bounds memory, not the transaction.
const REWRITE_CHUNK: usize = 256;

/// 512 KiB of page cache per connection: appends and drains are sequential, a larger one only costs memory. Nothing is
/// checkpointed within a commit; the writer does that once its callers are answered.
const SETTINGS: &str = "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -512;
    pragma temp_store = memory; pragma wal_autocheckpoint = 0; pragma journal_size_limit = 8388608;";

/// What is part of the file. Said only before the first table: repeating `auto_vacuum` is a write, and a spool on a full
/// disk must still open, so that what it holds can go to the hub.
const LAYOUT: &str = "pragma page_size = 4096; pragma auto_vacuum = incremental;";

const SCHEMA: &str = "
    create table producer (id blob not null);
    create table watermark (lane integer primary key, acked integer not null) without rowid;
    create table events (seq integer primary key, at_ms integer not null, bytes blob not null);
    create table transcript (seq integer primary key, at_ms integer not null, bytes blob not null);
    create table parked (id integer primary key autoincrement, at_ms integer not null, reason text not null,
        lane integer, producer blob, seq integer, bytes blob not null);
    insert into watermark values (0, 0), (1, 0);";

pub(super) struct Store {
    connection: Connection,
}

/// Which file it is: a path may come to name another.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl Place {
    /// The file in `dir` as it is now.
    pub(super) fn of(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let inode = inode(&path);
        Self { path, inode }
    }

    /// Whether the path still names that file.
    pub(super) fn is_kept(&self) -> bool {
        inode(&self.path) == self.inode
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Whether there is nothing but a log: it would be dropped for one that belongs to no store.
pub(super) fn is_only_log(dir: &Path) -> bool {
    let size = |name: &str| fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    size(FILE) == 0 && size("spool.db-wal") > 0
}

/// Where the store lies in `dir`.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Moves a store that cannot be read to another name, with its log: what it holds may still be worth a rescue.
pub(super) fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    let aside = format!("{FILE}.damaged-{}", unix_ms());
    // The log first: left behind, it would be taken for that of the store that comes next.
    for part in ["-wal", "-shm", ""] {
        match fs::rename(dir.join(format!("{FILE}{part}")), dir.join(format!("{aside}{part}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(dir.join(aside))
}

/// Where a lane stood when it was opened.
pub(super) struct Position {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) acked: u64,
}

pub(super) struct Record {
    pub(super) lane: Lane,
    pub(super) seq: u64,
    pub(super) bytes: Vec<u8>,
}

impl Store {
    /// None where it is in a format of a later version, which is returned.
    pub(super) fn open(dir: &Path) -> rusqlite::Result<Result<Self, u32>> {
        let mut connection = Connection::open(path(dir))?;
        let found: u32 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
        if found == 0 {
            connection.execute_batch(LAYOUT)?;
        }
        connection.execute_batch(SETTINGS)?;
        match found {
            0 => {
                let transaction = connection.transaction()?;
                transaction.execute_batch(SCHEMA)?;
                transaction.execute("insert into producer values (?)", [mint().as_uuid().as_bytes()])?;
                transaction.pragma_update(None, "user_version", FORMAT)?;
                transaction.commit()?;
            }
            FORMAT => {}
            found => return Ok(Err(found)),
        }
        Ok(Ok(Self { connection }))
    }

    pub(super) fn producer(&self) -> rusqlite::Result<ProducerId> {
        self.connection
            .query_row("select id from producer", [], |row| producer(row, 0))
    }

    pub(super) fn position(&self, lane: Lane) -> rusqlite::Result<Position> {
        let acked = self
            .connection
            .query_row("select acked from watermark where lane = ?", [lane.code()], |row| {
                unsigned(row, 0)
            })?;
        let edge = |end: &str| {
            let sql = format!("select {end}(seq) from {}", lane.table());
            self.connection.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))
        };
        let last = edge("max")?.map_or(acked, i64::cast_unsigned);
        let first = edge("min")?.map_or(last + 1, i64::cast_unsigned);
        Ok(Position { first, last, acked })
    }

    pub(super) fn insert(&mut self, records: &[Record]) -> rusqlite::Result<()> {
        let at_ms = unix_ms().cast_signed();
        let transaction = self.begin()?;
        for Record { lane, seq, bytes } in records {
            transaction
                .prepare_cached(lane.insert())?
                .execute(params![seq.cast_signed(), at_ms, bytes])?;
        }
        transaction.commit()
    }

    /// Removes up to `seq`, writing the watermarks with it: the next sequence depends on them once a lane is empty.
    pub(super) fn trim(&mut self, lane: Lane, seq: u64, acked: [u64; 2]) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        write_watermarks(&transaction, acked)?;
        transaction.prepare_cached(lane.trim())?.execute([seq.cast_signed()])?;
        transaction.commit()
    }

    pub(super) fn save_watermarks(&mut self, acked: [u64; 2]) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        write_watermarks(&transaction, acked)?;
        transaction.commit()
    }

    pub(super) fn park(&mut self, lane: Lane, seq: u64, reason: &str, tombstone: &[u8]) -> rusqlite::Result<bool> {
        let transaction = self.begin()?;
        let copy = format!(
            "insert into parked (at_ms, reason, lane, producer, seq, bytes)
             select ?, ?, ?, producer.id, seq, bytes from {}, producer where seq = ?",
            lane.table()
        );
        let at_ms = unix_ms().cast_signed();
        let copied = transaction.execute(&copy, params![at_ms, reason, lane.code(), seq.cast_signed()])?;
        transaction.execute(lane.replace(), params![seq.cast_signed(), seq.cast_signed(), tombstone])?;
        transaction.commit()?;
        Ok(copied == 1)
    }

    /// Keeps an unreadable input within the two bounds; returns how many older ones made room.
    pub(super) fn park_raw(&mut self, reason: &str, bytes: &[u8], max: (u64, u64)) -> rusqlite::Result<u64> {
        let transaction = self.begin()?;
        transaction.execute(
            "insert into parked (at_ms, reason, bytes) values (?, ?, ?)",
            params![unix_ms().cast_signed(), reason, bytes],
        )?;
        let dropped = transaction.execute(
            "delete from parked where id in (select id from (select id,
                 row_number() over newest as count, sum(length(bytes)) over newest as size from parked
                 where lane is null window newest as (order by id desc rows unbounded preceding))
             where count > ? or size > ?)",
            params![max.0.cast_signed(), max.1.cast_signed()],
        )?;
        transaction.commit()?;
        Ok(dropped as u64)
    }

    pub(super) fn discard_parked(&mut self, id: u64) -> rusqlite::Result<u64> {
        Ok(self
            .connection
            .execute("delete from parked where id <= ?", [id.cast_signed()])? as u64)
    }

    /// A new producer, all or nothing: drops what is acked and moves the rest down to 1. A record never moves up, so the
    /// place it goes to is always free.
    pub(super) fn remint(
        &mut self,
        acked: [u64; 2],
        mut reencode: impl FnMut(Lane, Origin, Vec<u8>) -> Vec<u8>,
    ) -> rusqlite::Result<ProducerId> {
        let producer = mint();
        let transaction = self.begin()?;
        transaction.execute("update producer set id = ?", [producer.as_uuid().as_bytes()])?;
        write_watermarks(&transaction, [0, 0])?;
        for lane in Lane::ALL {
            let shift = acked[lane.index()];
            transaction.execute(lane.trim(), [shift.cast_signed()])?;
            let mut next = shift + 1;
            loop {
                let chunk = read_from(&transaction, lane, next, REWRITE_CHUNK, usize::MAX)?;
                let Some(last) = chunk.last() else { break };
                next = last.seq + 1;
                for Stored { seq, bytes } in chunk {
                    let origin = Origin {
                        producer,
                        seq: seq - shift,
                    };
                    let bytes = reencode(lane, origin, bytes);
                    transaction.prepare_cached(lane.replace())?.execute(params![
                        seq.cast_signed(),
                        origin.seq.cast_signed(),
                        bytes
                    ])?;
                }
            }
        }
        transaction.commit()?;
        Ok(producer)
    }

    /// Bytes in pages that hold something, and bytes in free ones.
    pub(super) fn space(&self) -> rusqlite::Result<(u64, u64)> {
        let count = |pragma| {
            self.connection
                .prepare_cached(pragma)?
                .query_row([], |row| unsigned(row, 0))
        };
        let free = count("pragma freelist_count")?;
        Ok(((count("pragma page_count")? - free) * PAGE_BYTES, free * PAGE_BYTES))
    }

    /// Copies the write-ahead log into the file as far as readers allow, so that it starts over.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection
            .query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
    }

    /// Gives up to `bytes` of free pages back to the file system.
    pub(super) fn shrink(&self, bytes: u64) -> rusqlite::Result<()> {
        let mut statement = self
            .connection
            .prepare(&format!("pragma incremental_vacuum({})", bytes / PAGE_BYTES))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

fn write_watermarks(connection: &Connection, acked: [u64; 2]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("update watermark set acked = ? where lane = ?")?;
    for lane in Lane::ALL {
        statement.execute(params![acked[lane.index()].cast_signed(), lane.code()])?;
    }
    Ok(())
}

fn mint() -> ProducerId {
    ProducerId::from_uuid(Builder::from_unix_timestamp_millis(unix_ms(), &rand::random()).into_uuid())
}
