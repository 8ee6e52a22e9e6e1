use super::super::snapshot::{Access, Open};
use super::super::teller::OBSERVATIONS_MAX;
use super::*;
use muster_domain::time::Timestamp;
use serde_json::Value;

const ROOT: u32 = 10;

fn id(pid: u32, start_ticks: u64) -> ProcessRef {
    ProcessRef { pid, start_ticks }
}

fn tree(categories: &str) -> Tree {
    let run = RunId::new("r1").unwrap();
    Tree::new(run, categories.parse().unwrap(), id(ROOT, 1), BTreeSet::new())
}

/// A process that was started in the tick of its number.
fn process(pid: u32, ppid: u32, command: &str) -> Process {
    Process {
        id: id(pid, u64::from(pid)),
        ppid,
        command: command.to_owned(),
        program: Some(format!("/bin/{command}")),
        ended: None,
        files: Vec::new(),
        sockets: Vec::new(),
    }
}

fn root() -> Process {
    Process {
        id: id(ROOT, 1),
        ..process(ROOT, 1, "sh")
    }
}

fn writes(path: &str, inode: u64) -> Open {
    let access = Access {
        read: false,
        write: true,
        append: false,
    };
    Open {
        key: FileKey {
            device: 1,
            inode,
            access,
        },
        path: path.to_owned(),
        unlinked: false,
        offset: 0,
    }
}

fn snapshot(ms: i64, processes: Vec<Process>) -> Snapshot {
    Snapshot {
        at: Timestamp::from_millis(ms),
        processes,
        ..Snapshot::default()
    }
}

/// What was seen, as kind, number and the members named.
fn told(observed: &[Observed], members: &[&str]) -> Vec<String> {
    let line = |observed: &Observed| {
        let data: Value = serde_json::from_str(observed.data.get()).unwrap();
        let mut words = vec![observed.event_type.kind().to_owned(), data["pid"].to_string()];
        let named = members.iter().filter_map(|member| data.get(*member));
        words.extend(named.map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)));
        words.join(" ")
    };
    observed.iter().map(line).collect()
}

fn look(tree: &mut Tree, ms: i64, processes: Vec<Process>, members: &[&str]) -> Vec<String> {
    told(&tree.take(snapshot(ms, processes)), members)
}

#[test]
fn descendants_begin_and_end_and_the_command_itself_is_told_of_by_its_run() {
    let mut tree = tree("lifecycle");
    let members = ["ppid", "command", "program"];
    let begun = look(
        &mut tree,
        0,
        vec![root(), process(11, ROOT, "make"), process(12, 11, "cc")],
        &members,
    );
    assert_eq!(
        begun,
        [
            "descendant_started 11 10 make /bin/make",
            "descendant_started 12 11 cc /bin/cc"
        ]
    );
    assert!(
        look(
            &mut tree,
            50,
            vec![root(), process(11, ROOT, "make"), process(12, 11, "cc")],
            &members
        )
        .is_empty()
    );
    let over = look(&mut tree, 100, vec![process(12, 1, "cc")], &members);
    assert_eq!(over, ["descendant_exited 11 10 make"]);
    let watched = tree.watched();
    assert_eq!((watched.told, watched.running, watched.passed_over), (3, 1, 0));
}

#[test]
fn what_a_shell_starts_is_told_of_as_what_it_is_and_not_as_the_shell_it_was_forked_from() {
    let mut tree = tree("lifecycle,process");
    let (forked, subshell, brief) = (
        process(11, ROOT, "sh"),
        process(12, ROOT, "sh"),
        process(13, ROOT, "sh"),
    );
    let begun = tree.take(snapshot(0, vec![root(), forked, subshell.clone(), brief]));
    assert_eq!(told(&begun, &[]), Vec::<String>::new());
    let seen = tree.take(snapshot(50, vec![root(), process(11, ROOT, "git"), subshell.clone()]));
    let expected = [
        "descendant_started 11 git",
        "descendant_started 12 sh",
        "descendant_started 13 sh",
        "descendant_exited 13 sh",
    ];
    assert_eq!(told(&seen, &["command"]), expected);
    assert_eq!(seen[0].time, Timestamp::default(), "that is when it was seen first");
    assert!(look(&mut tree, 100, vec![root(), process(11, ROOT, "git"), subshell], &[]).is_empty());
}

#[test]
fn a_number_given_anew_is_another_process_and_an_orphan_is_the_same() {
    let mut tree = tree("lifecycle");
    look(
        &mut tree,
        0,
        vec![root(), process(11, ROOT, "a"), process(12, 11, "b")],
        &[],
    );
    let anew = Process {
        id: id(11, 99),
        ..process(11, ROOT, "a")
    };
    let seen = look(&mut tree, 50, vec![root(), anew, process(12, 1, "b")], &["start_ticks"]);
    assert_eq!(seen, ["descendant_started 11 99", "descendant_exited 11 11"]);
}

#[test]
fn one_that_waits_to_be_reaped_has_ended_once_and_says_how() {
    let mut tree = tree("lifecycle");
    look(&mut tree, 0, vec![root(), process(11, ROOT, "a")], &[]);
    let zombie = || Process {
        ended: Some(Ended(Some(-9))),
        program: None,
        ..process(11, ROOT, "a")
    };
    assert_eq!(
        look(&mut tree, 50, vec![root(), zombie()], &["status"]),
        ["descendant_exited 11 -9"]
    );
    assert!(look(&mut tree, 100, vec![root(), zombie()], &[]).is_empty());
    assert!(look(&mut tree, 150, vec![root()], &[]).is_empty());
    // Begun and ended between two looks, and not reaped yet.
    let brief = Process {
        ended: Some(Ended(Some(0))),
        ..process(13, ROOT, "b")
    };
    let seen = look(&mut tree, 200, vec![root(), brief], &["status"]);
    assert_eq!(seen, ["descendant_started 13", "descendant_exited 13 0"]);
}

#[test]
fn another_program_in_a_known_process_is_told_and_another_name_is_not() {
    let mut tree = tree("process");
    look(
        &mut tree,
        0,
        vec![process(11, ROOT, "sh"), process(12, ROOT, "node")],
        &[],
    );
    let renamed = Process {
        command: "worker-1".to_owned(),
        ..process(12, ROOT, "node")
    };
    let seen = look(
        &mut tree,
        50,
        vec![process(11, ROOT, "sleep"), renamed],
        &["command", "program", "before"],
    );
    assert_eq!(seen, ["exec 11 sleep /bin/sleep sh"]);
    // Its file may not be known any more: the name has to do.
    let sudo = |command| Process {
        program: None,
        ..process(11, ROOT, command)
    };
    assert_eq!(look(&mut tree, 100, vec![sudo("sudo")], &["before"]), ["exec 11 sleep"]);
    assert!(look(&mut tree, 150, vec![sudo("sudo")], &[]).is_empty());
}

#[test]
fn what_a_process_was_given_open_it_did_not_open() {
    let out = writes("/w/out", 7);
    let with = |mut process: Process, files: &[&Open]| {
        process.files = files.iter().map(|open| (*open).clone()).collect();
        process
    };
    let mut tree = Tree::new(
        RunId::new("r1").unwrap(),
        "file".parse().unwrap(),
        id(ROOT, 1),
        BTreeSet::from([writes("/outer", 1).key]),
    );
    let outer = writes("/outer", 1);
    let first = with(root(), &[&outer, &out]);
    assert_eq!(look(&mut tree, 0, vec![first], &["path"]), ["open 10 /w/out"]);
    // Closed by the shell once its child had it.
    let own = writes("/w/own", 8);
    let child = with(process(11, ROOT, "cc"), &[&outer, &out, &own]);
    let seen = look(&mut tree, 50, vec![with(root(), &[&outer]), child], &["path", "flags"]);
    assert_eq!(seen, ["close 10 /w/out", "open 11 /w/own [\"write\"]"]);
    // Whoever started this one is gone: it may have had the file open.
    let orphan = with(process(12, 1, "daemon"), &[&own]);
    let seen = look(&mut tree, 100, vec![with(root(), &[&outer]), orphan], &["path"]);
    assert_eq!(seen, ["close 11 /w/own"]);
}

#[test]
fn a_port_that_the_run_listens_at_accepts_and_does_not_connect() {
    let mut tree = tree("network");
    let with = |mut process: Process, sockets: &[u64]| {
        process.sockets = sockets.to_vec();
        process
    };
    let connected = |local: &str, remote: &str| Endpoint::Connected {
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
    };
    let listed = BTreeMap::from([
        (1, Endpoint::Listening("127.0.0.1:8080".parse().unwrap())),
        (2, connected("127.0.0.1:8080", "127.0.0.1:40000")),
        (3, connected("127.0.0.1:40000", "127.0.0.1:8080")),
    ]);
    let processes = vec![with(root(), &[1, 2, 9]), with(process(11, ROOT, "curl"), &[1, 3])];
    let asks: Vec<u32> = tree.asks(&processes).iter().map(|process| process.id.pid).collect();
    assert_eq!(asks, [10, 11]);
    let seen = Snapshot {
        endpoints: listed,
        ..snapshot(0, processes)
    };
    let seen = told(&tree.take(seen), &["address", "local"]);
    assert_eq!(
        seen,
        ["listen 10 127.0.0.1:8080", "connect 11 127.0.0.1:8080 127.0.0.1:40000"]
    );
}

#[test]
fn more_than_may_be_told_is_counted_and_a_beginning_untold_has_no_end() {
    let mut tree = tree("lifecycle");
    let most = OBSERVATIONS_MAX + 2;
    let many = |ppid| (0..most).map(|n| process(100 + n, ppid, "cc")).collect::<Vec<_>>();
    assert_eq!(tree.take(snapshot(20_000, many(ROOT))).len(), OBSERVATIONS_MAX as usize);
    // After two seconds there is room for ten, and of those that were told so many ends are told.
    assert_eq!(tree.take(snapshot(22_000, Vec::new())).len(), 10);
    assert_eq!(
        tree.take(snapshot(400_000, many(ROOT))).len(),
        OBSERVATIONS_MAX as usize
    );
    tree.lost(3);
    let watched = tree.watched();
    // Of two beginnings nothing was told, nor of their ends; of 490 ends; of two beginnings again.
    let told = u64::from(OBSERVATIONS_MAX) * 2 + 10;
    assert_eq!(
        (watched.told, watched.passed_over),
        (told - 3, 4 + u64::from(OBSERVATIONS_MAX) - 10 + 2 + 3)
    );
}

#[test]
fn what_is_not_watched_is_neither_told_nor_counted() {
    let mut tree = tree("process");
    look(&mut tree, 0, vec![root(), process(11, ROOT, "a")], &[]);
    let mut busy = snapshot(50, vec![root()]);
    (busy.unwatched, busy.unread) = (3, 2);
    assert!(tree.take(busy).is_empty());
    tree.take(snapshot(100, Vec::new()));
    let watched = tree.watched();
    assert_eq!(
        (watched.told, watched.passed_over, watched.unwatched, watched.unread),
        (0, 0, 3, 2)
    );
}
