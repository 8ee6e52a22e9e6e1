//! Processes that die or run out of disk in the middle of appending. The child is this test binary, told by its
//! environment to run one "test" that appends until it cannot.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;

use super::*;

const DIR: &str = "MUSTER_TEST_SPOOL_DIR";
const APPENDERS: u64 = 8;
/// In blocks of 512 B, as `ulimit -f` of a POSIX shell counts.
const FILE_LIMIT_BLOCKS: u64 = 400;

/// Runs one test of this binary in a child, through a shell so that it can start under a file size limit.
fn start(dir: &Path, test: &str, before: &str) -> Child {
    let script = format!("{before} exec \"$0\" --exact \"$1\" --nocapture");
    let this = env::current_exe().unwrap();
    let test = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .arg(this)
        .arg(test)
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn acked(line: &str) -> Option<u64> {
    line.strip_prefix("acked ")?.parse().ok()
}

/// Prints each sequence once its append has returned.
async fn append_and_tell(spool: &Spool) -> Result<(), AppendError> {
    let origin = spool
        .append(Lane::Events, Priority::Low, |origin| encoded(origin, &"x".repeat(300)))
        .await?;
    // One write per line, past the test harness.
    std::io::stdout()
        .write_all(format!("\nacked {}\n", origin.seq).as_bytes())
        .unwrap();
    Ok(())
}

/// Not a test by itself: passes at once unless a parent asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn child_appends_until_killed() {
    let Some(dir) = env::var_os(DIR) else { return };
    let spool = open(Path::new(&dir));
    let mut appenders = JoinSet::new();
    for _ in 0..APPENDERS {
        let spool = spool.clone();
        appenders.spawn(async move { while append_and_tell(&spool).await.is_ok() {} });
    }
    appenders.join_all().await;
}

#[tokio::test]
async fn every_acknowledged_record_survives_a_kill() {
    let dir = TempDir::new().unwrap();
    let mut highest = 0;
    for kill_after in [1, 2, 3, 10, 50, 51, 120, 200, 333, 400, 7, 77] {
        let mut child = start(dir.path(), "child_appends_until_killed", "");
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut seen: Vec<u64> = lines
            .by_ref()
            .filter_map(|line| acked(&line))
            .take(kill_after)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        seen.extend(lines.filter_map(|line| acked(&line)));
        assert!(seen.len() >= kill_after);

        let spool = open(dir.path());
        highest = seen.iter().copied().fold(highest, u64::max);
        let last = spool.last_seq(Lane::Events);
        assert!(last >= highest, "acknowledged {highest}, kept {last}");
        let stored = spool.read_from(Lane::Events, 1, usize::MAX, usize::MAX).await.unwrap();
        assert_eq!(stored.len() as u64, last);
        for (seq, record) in (1..).zip(stored) {
            let origin = Origin {
                producer: spool.producer(),
                seq,
            };
            assert_eq!(
                record,
                Stored {
                    seq,
                    bytes: encoded(origin, &"x".repeat(300))
                }
            );
        }
        spool.close().await;
    }
}

/// Not a test by itself, as above.
#[tokio::test]
async fn child_runs_out_of_disk_and_gets_it_back() {
    let Some(dir) = env::var_os(DIR) else { return };
    let spool = open(Path::new(&dir));
    let refused = loop {
        if let Err(refused) = append_and_tell(&spool).await {
            break refused;
        }
    };
    assert!(
        matches!(refused, AppendError::Store(StoreError::Engine(_))),
        "{refused}"
    );
    let kept = spool.last_seq(Lane::Events);
    assert_eq!(
        seqs(&spool, Lane::Events).await.len() as u64,
        kept,
        "what was acknowledged can still be read"
    );

    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
    append_and_tell(&spool).await.unwrap();
    assert_eq!(spool.last_seq(Lane::Events), kept + 1);
    println!("\nrecovered");
}

#[tokio::test]
async fn a_disk_that_takes_no_more_is_an_error_to_the_caller_until_there_is_space_again() {
    let dir = TempDir::new().unwrap();
    // The signal would end the process before the write can fail; an ignored one stays ignored across exec.
    let limit = format!("trap '' XFSZ; ulimit -S -f {FILE_LIMIT_BLOCKS};");
    let child = start(dir.path(), "child_runs_out_of_disk_and_gets_it_back", &limit);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line == "recovered"), "{text}");
    let told = text.lines().filter_map(acked).max().unwrap();
    assert_eq!(
        seqs(&open(dir.path()), Lane::Events).await,
        (1..=told).collect::<Vec<_>>()
    );
}
