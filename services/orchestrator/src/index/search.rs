//! Words in the index, the best match first.

use super::snippet::snippet;
use super::terms::Terms;
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{Hit, Indexed, SessionsHits, SessionsSearchRequest};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::words::WordsKind;
use rusqlite::{Connection, Row, named_params};

/// Rows where nobody says: kaizen's number.
const ROWS: usize = 50;

/// Matches that are ranked: ranking one takes a microsecond or two, and a word that more events have tells little of any.
const RANKED_MAX: u32 = 20_000;

/// Which events, the best match first and of equals the latest.
const BEST: &str = "
    with latest as materialized (
        select words.rowid as seq, bm25(words) as rank
        from words join event on event.seq = words.rowid join session on session.id = event.session
        where words match :terms and event.at_ms >= :since and (:kind is null or event.kind = :kind)
            and (:agent is null or session.agent = :agent) and (:host is null or session.host = :host)
            and (:session is null or session.name = :session)
        order by words.rowid desc limit :ranked)
    select event.seq, event.at_ms, session.host, session.name, session.agent, event.kind, event.tool, latest.rank
    from latest join event on event.seq = latest.seq join session on session.id = event.session
    order by latest.rank, event.seq desc limit :rows";
const TEXT: &str = "select text from words where rowid = ?";

/// Which words, and where.
pub(crate) struct Wanted {
    terms: Terms,
    since_ms: i64,
    kind: Option<WordsKind>,
    agent: Option<String>,
    host: Option<String>,
    session: Option<String>,
    rows: usize,
}

impl Wanted {
    pub(super) fn new(request: &SessionsSearchRequest, terms: Terms) -> Self {
        let owned = |name: &str| name.to_owned();
        Self {
            terms,
            since_ms: request.since.map_or(i64::MIN, Timestamp::as_millis),
            kind: request.kind,
            agent: request.agent.as_ref().map(|agent| owned(agent.as_str())),
            host: request.host.as_ref().map(|host| owned(host.as_str())),
            session: request.session.as_ref().map(|session| owned(session.as_str())),
            rows: request.limit.unwrap_or(ROWS).clamp(1, PAGE_ROWS_MAX),
        }
    }
}

pub(super) fn search(view: &Connection, wanted: &Wanted, indexed: Indexed) -> rusqlite::Result<SessionsHits> {
    let mut best = view.prepare(BEST)?;
    let mut text = view.prepare(TEXT)?;
    let found = best.query_map(
        named_params! {
            ":terms": wanted.terms.as_str(),
            ":since": wanted.since_ms,
            ":kind": wanted.kind.map(WordsKind::as_str),
            ":agent": wanted.agent,
            ":host": wanted.host,
            ":session": wanted.session,
            ":ranked": RANKED_MAX,
            ":rows": i64::try_from(wanted.rows + 1).unwrap_or(i64::MAX),
        },
        hit,
    )?;
    let found: Vec<Option<Hit>> = found.collect::<rusqlite::Result<_>>()?;
    let more = found.len() > wanted.rows;
    let mut hits = Vec::new();
    for mut hit in found.into_iter().take(wanted.rows).flatten() {
        let text: String = text.query_row([hit.event_seq.cast_signed()], |row| row.get(0))?;
        hit.snippet = snippet(&text, &wanted.terms);
        hits.push(hit);
    }
    Ok(SessionsHits { hits, more, indexed })
}

/// A row; none whose names a newer version wrote under other rules.
fn hit(row: &Row<'_>) -> rusqlite::Result<Option<Hit>> {
    let (host, session, kind): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(5)?);
    let (host, session) = (HostName::new(&host), SessionId::new(&session));
    let (Ok(host), Ok(session), Some(kind)) = (host, session, WordsKind::parse(&kind)) else {
        return Ok(None);
    };
    Ok(Some(Hit {
        event_seq: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Timestamp::from_millis(row.get(1)?),
        host,
        session,
        agent: row.get(4)?,
        kind,
        tool: row.get(6)?,
        snippet: String::new(),
        // The engine's ranks sort upwards.
        score: -row.get::<_, f64>(7)?,
    }))
}
