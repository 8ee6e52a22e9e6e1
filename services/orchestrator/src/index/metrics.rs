//! Where time, tokens and failures go.

use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{FailingAgent, HotFile, Indexed, SessionsMetrics, SlowTool, Spread, TokenSink};
use rusqlite::{Connection, Row};
use std::time::Duration;

/// Rows of each list.
const ROWS: u32 = 20;

const OLDEST: &str = "select min(at_ms) from (select min(at_ms) as at_ms from call where at_ms >= ?1
    union all select min(at_ms) from turn where at_ms >= ?1)";
const FILES: &str = "select file, count(*), count(distinct session) from call where at_ms >= ?1 and file is not null
    group by file order by count(*) desc, file limit ?2";
/// Percentiles by nearest rank, so that each is a duration that there was.
const TOOLS: &str = "
    with timed as (select tool, duration_ms,
            row_number() over (partition by tool order by duration_ms) as place, count(*) over (partition by tool) as n
        from call where at_ms >= ?1 and duration_ms is not null),
    spread as (select tool, n, sum(duration_ms) / n as average, max(duration_ms) as most,
            max(case when place = (n * 50 + 99) / 100 then duration_ms end) as p50,
            max(case when place = (n * 95 + 99) / 100 then duration_ms end) as p95
        from timed group by tool)
    select call.tool, count(*), sum(call.outcome = 2), coalesce(n, 0), coalesce(average, 0), coalesce(p50, 0),
        coalesce(p95, 0), coalesce(most, 0)
    from call left join spread on spread.tool = call.tool where call.at_ms >= ?1
    group by call.tool order by coalesce(p95, 0) desc, call.tool limit ?2";
const TOKENS: &str = "
    select session.name, session.host, session.agent, count(*), sum(turn.input), sum(turn.output)
    from turn join session on session.id = turn.session where turn.at_ms >= ?1
    group by turn.session order by sum(turn.input) + sum(turn.output) desc limit ?2";
const AGENTS: &str = "
    select agent, count(distinct id), sum(calls), sum(failures), sum(turns) from (
        select session.agent, session.id, 1 as calls, call.outcome = 2 as failures, 0 as turns
        from call join session on session.id = call.session where call.at_ms >= ?1
        union all select session.agent, session.id, 0, 0, 1 - turn.ok
        from turn join session on session.id = turn.session where turn.at_ms >= ?1)
    where agent is not null group by agent order by sum(failures) + sum(turns) desc, agent limit ?2";

/// What the calls and turns of the last days come to.
pub(super) fn metrics(
    view: &Connection,
    now: Timestamp,
    days: u32,
    indexed: Indexed,
) -> rusqlite::Result<SessionsMetrics> {
    let back = Duration::from_hours(24).saturating_mul(days).as_millis();
    let since_ms = now.as_millis().saturating_sub(i64::try_from(back).unwrap_or(i64::MAX));
    let oldest: Option<i64> = view.query_row(OLDEST, [since_ms], |row| row.get(0))?;
    Ok(SessionsMetrics {
        from: Timestamp::from_millis(since_ms),
        oldest: oldest.map(Timestamp::from_millis),
        files: rows(view, FILES, since_ms, |row| {
            Ok(HotFile {
                path: row.get(0)?,
                calls: count(row, 1)?,
                sessions: count(row, 2)?,
            })
        })?,
        tools: rows(view, TOOLS, since_ms, |row| {
            Ok(SlowTool {
                tool: row.get(0)?,
                calls: count(row, 1)?,
                failures: count(row, 2)?,
                duration_ms: Spread {
                    count: count(row, 3)?,
                    average: count(row, 4)?,
                    p50: count(row, 5)?,
                    p95: count(row, 6)?,
                    max: count(row, 7)?,
                },
            })
        })?,
        tokens: rows(view, TOKENS, since_ms, token_sink)?
            .into_iter()
            .flatten()
            .collect(),
        agents: rows(view, AGENTS, since_ms, |row| {
            Ok(FailingAgent {
                agent: row.get(0)?,
                sessions: count(row, 1)?,
                calls: count(row, 2)?,
                failures: count(row, 3)?,
                failed_turns: count(row, 4)?,
            })
        })?,
        indexed,
    })
}

fn token_sink(row: &Row<'_>) -> rusqlite::Result<Option<TokenSink>> {
    let (session, host): (String, String) = (row.get(0)?, row.get(1)?);
    let (Ok(session), Ok(host)) = (SessionId::new(&session), HostName::new(&host)) else {
        return Ok(None);
    };
    Ok(Some(TokenSink {
        session,
        host,
        agent: row.get(2)?,
        turns: count(row, 3)?,
        input: count(row, 4)?,
        output: count(row, 5)?,
    }))
}

fn rows<T>(
    view: &Connection,
    sql: &str,
    since_ms: i64,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    view.prepare(sql)?.query_map((since_ms, ROWS), read)?.collect()
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}
