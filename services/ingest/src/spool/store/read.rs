//! What can be read, by the writer and by the second connection alike.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use muster_domain::ids::ProducerId;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use uuid::Uuid;

use super::{FILE, Lane, Origin, Parked, Stored};

pub(in crate::spool) fn open_reader(dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(dir.join(FILE), flags)?;
    reader.execute_batch("pragma cache_size = -512")?;
    Ok(reader)
}

pub(in crate::spool) fn read_from(
    reader: &Connection,
    lane: Lane,
    seq: u64,
    max_records: usize,
    max_bytes: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = reader.prepare_cached(lane.read())?;
    let mut rows = statement.query([seq.cast_signed()])?;
    let mut records = Vec::new();
    let mut size_bytes = 0;
    while records.len() < max_records
        && let Some(row) = rows.next()?
    {
        let record = Stored {
            seq: unsigned(row, 0)?,
            bytes: row.get(1)?,
        };
        size_bytes += record.bytes.len();
        if size_bytes > max_bytes && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(records)
}

pub(in crate::spool) fn stored_at(reader: &Connection, lane: Lane, seq: u64) -> rusqlite::Result<Option<SystemTime>> {
    let sql = format!("select at_ms from {} where seq = ?", lane.table());
    reader
        .query_row(&sql, [seq.cast_signed()], |row| time(row, 0))
        .optional()
}

pub(in crate::spool) fn parked_counts(reader: &Connection) -> rusqlite::Result<(u64, u64)> {
    reader.query_row("select count(lane), count(*) - count(lane) from parked", [], |row| {
        Ok((unsigned(row, 0)?, unsigned(row, 1)?))
    })
}

pub(in crate::spool) fn parked(reader: &Connection, id: u64, max: usize) -> rusqlite::Result<Vec<Parked>> {
    let sql = "select id, at_ms, reason, bytes, lane, producer, seq from parked where id > ? order by id limit ?";
    let mut statement = reader.prepare_cached(sql)?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = statement.query_map([id.cast_signed(), limit], |row| {
        let code: Option<i64> = row.get(4)?;
        let record = match Lane::ALL.into_iter().find(|lane| code == Some(lane.code())) {
            Some(lane) => Some((
                lane,
                Origin {
                    producer: producer(row, 5)?,
                    seq: unsigned(row, 6)?,
                },
            )),
            None => None,
        };
        Ok(Parked {
            id: unsigned(row, 0)?,
            record,
            at: time(row, 1)?,
            reason: row.get(2)?,
            bytes: row.get(3)?,
        })
    })?;
    rows.collect()
}

pub(super) fn producer(row: &Row<'_>, column: usize) -> rusqlite::Result<ProducerId> {
    row.get(column)
        .map(|bytes| ProducerId::from_uuid(Uuid::from_bytes(bytes)))
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<SystemTime> {
    Ok(UNIX_EPOCH + Duration::from_millis(unsigned(row, column)?))
}
