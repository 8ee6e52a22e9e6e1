//! Looks at the processes of a run, under `/proc`.
//!
//! Descendants are found from parent to child (`children` of each thread), so that the cost is that of the run and not that
//! of the machine. Whatever is gone or may not be read by the time it is looked at is left out.

use super::files::is_noise;
use super::snapshot::{Access, Ended, Endpoint, FileKey, Open, Process, Snapshot};
use muster_domain::fact::ProcessRef;
use procfs::ProcError;
use procfs::net::TcpState;
use procfs::process::{FDInfo, FDPermissions, FDTarget, Process as Proc, Stat};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

/// Processes of a run that are looked at: a build on a large machine, and less than a look of a tenth of a second.
pub(super) const PROCESSES_MAX: usize = 512;
/// Descriptors of a process that are: what it may have open, unless somebody set it higher.
const DESCRIPTORS_MAX: usize = 1024;
/// Linux's `O_WRONLY`, `O_RDWR` and `O_APPEND`, as `fdinfo` prints them.
const WRITE_ONLY: u32 = 0o1;
const READ_WRITE: u32 = 0o2;
const APPEND: u32 = 0o2000;
/// What the kernel puts behind the name of a file that has none any more.
const DELETED: &str = " (deleted)";

/// The files that a command is started with: our own.
pub(super) fn given() -> BTreeSet<FileKey> {
    let mut snapshot = Snapshot::default();
    let descriptors = Proc::myself().map(|process| descriptors(&process, &mut snapshot));
    let (files, _) = descriptors.unwrap_or_default();
    files.into_iter().map(|open| open.key).collect()
}

/// Looks at these processes and all that descend from them; at what they have open where that is wanted.
pub(super) fn look<'a>(processes: impl Iterator<Item = &'a ProcessRef>, open: bool) -> Snapshot {
    let mut snapshot = Snapshot {
        at: crate::format::now(),
        ..Snapshot::default()
    };
    let mut seen = BTreeSet::new();
    let mut next: VecDeque<_> = processes.map(|id| (id.pid, Some(id.start_ticks))).collect();
    while let Some((pid, start_ticks)) = next.pop_front() {
        let process = i32::try_from(pid).ok().and_then(|pid| Proc::new(pid).ok());
        let Some((stat, process)) = process.and_then(|process| Some((process.stat().ok()?, process))) else {
            continue;
        };
        // Another process has the number now. If it is one of ours, its parent leads to it.
        if start_ticks.is_some_and(|start_ticks| start_ticks != stat.starttime) || !seen.insert(pid) {
            continue;
        }
        if snapshot.processes.len() == PROCESSES_MAX {
            snapshot.unwatched += 1;
            continue;
        }
        next.extend(children(&process).map(|child| (child, None)));
        let found = found(pid, &process, stat, open, &mut snapshot);
        snapshot.processes.push(found);
    }
    snapshot
}

fn found(pid: u32, process: &Proc, stat: Stat, open: bool, snapshot: &mut Snapshot) -> Process {
    let ended = matches!(stat.state, 'Z' | 'X').then(|| Ended(status(process, &stat)));
    let (files, sockets) = if open && ended.is_none() {
        descriptors(process, snapshot)
    } else {
        (Vec::new(), Vec::new())
    };
    let program = process.exe().ok().map(|path| path.to_string_lossy().into_owned());
    Process {
        id: ProcessRef {
            pid,
            start_ticks: stat.starttime,
        },
        ppid: u32::try_from(stat.ppid).unwrap_or_default(),
        command: stat.comm,
        // A program that was replaced by a newer one is still the same.
        program: program.map(|path| path.strip_suffix(DELETED).map_or(path.clone(), ToOwned::to_owned)),
        ended,
        files,
        sockets,
    }
}

/// What a process that waits to be reaped ended with. The kernel says 0 to whoever may not know.
fn status(process: &Proc, stat: &Stat) -> Option<i32> {
    let own = process
        .uid()
        .is_ok_and(|uid| uid == rustix::process::geteuid().as_raw());
    let status = stat.exit_code.filter(|_| own)?;
    Some(match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => -signal,
    })
}

fn children(process: &Proc) -> impl Iterator<Item = u32> {
    let threads = process.tasks().into_iter().flatten().flatten();
    threads.flat_map(|thread| thread.children().unwrap_or_default())
}

/// The files and the sockets that a process has open.
fn descriptors(process: &Proc, snapshot: &mut Snapshot) -> (Vec<Open>, Vec<u64>) {
    let (mut files, mut sockets) = (BTreeMap::new(), Vec::new());
    let descriptors = match process.fd() {
        Ok(descriptors) => descriptors,
        Err(error) => {
            snapshot.unread += u64::from(matches!(error, ProcError::PermissionDenied(_)));
            return (Vec::new(), sockets);
        }
    };
    for (count, descriptor) in descriptors.enumerate() {
        if count >= DESCRIPTORS_MAX {
            snapshot.unread += 1;
            continue;
        }
        let Ok(descriptor) = descriptor else { continue };
        if let FDTarget::Socket(inode) = descriptor.target {
            sockets.push(inode);
        } else if let Some(open) = file(process, &descriptor) {
            let known: &mut Open = files.entry(open.key).or_insert_with(|| open.clone());
            known.offset = known.offset.max(open.offset);
        }
    }
    (files.into_values().collect(), sockets)
}

/// The file that is open, where it is one that somebody may want to know of.
fn file(process: &Proc, descriptor: &FDInfo) -> Option<Open> {
    let FDTarget::Path(path) = &descriptor.target else {
        return None;
    };
    if is_noise(path, descriptor.mode().contains(FDPermissions::WRITE)) {
        return None;
    }
    let link = format!("/proc/{}/fd/{}", process.pid(), descriptor.fd);
    let metadata = fs::metadata(link).ok().filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    let info = process.open_relative(format!("fdinfo/{}", descriptor.fd));
    info.ok()?.read_to_string(&mut text).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    let flags = u32::from_str_radix(field("flags:")?, 8).ok()?;
    let path = path.to_string_lossy();
    let unlinked = path.strip_suffix(DELETED).filter(|_| !path_is(&path, &metadata));
    Some(Open {
        key: FileKey {
            device: metadata.dev(),
            inode: metadata.ino(),
            access: Access {
                read: flags & WRITE_ONLY == 0,
                write: flags & (WRITE_ONLY | READ_WRITE) != 0,
                append: flags & APPEND != 0,
            },
        },
        path: unlinked.unwrap_or(&path).to_owned(),
        unlinked: unlinked.is_some(),
        offset: field("pos:")?.parse().ok()?,
    })
}

/// Whether the file has this very name, whatever it ends in.
fn path_is(path: &str, open: &fs::Metadata) -> bool {
    fs::symlink_metadata(path).is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino()))
}

/// The TCP sockets of the networks that these processes are in.
pub(super) fn endpoints(processes: &[&Process]) -> BTreeMap<u64, Endpoint> {
    let network = |process: &&&Process| fs::read_link(format!("/proc/{}/ns/net", process.id.pid)).ok();
    let networks: BTreeMap<_, _> = processes
        .iter()
        .filter_map(|process| Some((network(&process)?, process.id.pid)))
        .collect();
    let processes = networks
        .into_values()
        .filter_map(|pid| Proc::new(i32::try_from(pid).ok()?).ok());
    let entries = processes
        .flat_map(|process| [process.tcp(), process.tcp6()])
        .flatten()
        .flatten();
    entries
        .filter(|entry| entry.inode != 0 && entry.state != TcpState::Close)
        .map(|entry| {
            let local = canonical(entry.local_address);
            let endpoint = if entry.state == TcpState::Listen {
                Endpoint::Listening(local)
            } else {
                Endpoint::Connected {
                    local,
                    remote: canonical(entry.remote_address),
                }
            };
            (entry.inode, endpoint)
        })
        .collect()
}

fn canonical(address: std::net::SocketAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address.ip().to_canonical(), address.port())
}
