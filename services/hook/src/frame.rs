//! Frames on ingest's socket: a big-endian `u32` length, then that many bytes.

use std::io::{self, Read};

/// What an agent may hand to a hook, and ingest's limit for one payload.
pub(crate) const PAYLOAD_MAX_BYTES: usize = 8 * 1024 * 1024;

/// A payload and the words around it.
const FRAME_MAX_BYTES: usize = PAYLOAD_MAX_BYTES + 64 * 1024;

/// A frame that is read at one go: every answer but a few.
const SMALL_BYTES: usize = 64 * 1024;

/// Appends a frame; `body` is at most a payload, far below what the prefix can say.
pub(crate) fn append(buffer: &mut Vec<u8>, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("invariant: bodies are capped at 8 MiB");
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(body);
}

pub(crate) fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix)?;
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length > FRAME_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame over the limit"));
    }
    if length <= SMALL_BYTES {
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        return Ok(body);
    }
    // Grows with what arrives: a length alone reserves no memory.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}
