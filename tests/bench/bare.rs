//! The floor of a hook: the least a process can do that hands its input to a neighbour which makes it durable.
//!
//! `bare ask SOCKET` sends what it reads, waits for one byte and ends. `bare agent SOCKET FILE` appends what it receives to
//! a file, syncs its data and answers. Std only and nothing else in the program, because loading a program is most of what
//! a hook costs.

use std::env::args;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;

fn main() -> io::Result<()> {
    let args: Vec<String> = args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ask", socket] => ask(socket),
        ["agent", socket, file] => agent(socket, file),
        _ => Err(io::Error::other("usage: ask SOCKET | agent SOCKET FILE")),
    }
}

fn ask(socket: &str) -> io::Result<()> {
    let mut body = vec![0; 4];
    io::stdin().lock().read_to_end(&mut body)?;
    let length = u32::try_from(body.len() - 4).map_err(io::Error::other)?;
    body[..4].copy_from_slice(&length.to_be_bytes());
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(&body)?;
    stream.read_exact(&mut [0])
}

fn agent(socket: &str, file: &str) -> io::Result<()> {
    let file = Arc::new(OpenOptions::new().create(true).append(true).open(file)?);
    for stream in UnixListener::bind(socket)?.incoming() {
        let (stream, file) = (stream?, Arc::clone(&file));
        // A client that leaves ends its thread, which is all that is to be done about it.
        thread::spawn(move || drop(keep(stream, &file)));
    }
    Ok(())
}

fn keep(mut stream: UnixStream, mut file: &File) -> io::Result<()> {
    let mut length = [0; 4];
    loop {
        stream.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut body)?;
        file.write_all(&body)?;
        file.sync_data()?;
        stream.write_all(&[1])?;
    }
}
