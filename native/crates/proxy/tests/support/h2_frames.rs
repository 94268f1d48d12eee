//! HTTP/2 frame by frame, for upstreams that do what no library does.

use crate::h1::Wire;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
/// Of a PING that the engine sends.
pub const PAYLOAD: &[u8] = &[0x3b, 0x7c, 0xdb, 0x7a, 0x0b, 0x87, 0x16, 0xb4];
const END_HEADERS: u8 = 4;

/// `:status: 200`, `grpc-status: 0`, as HPACK has them.
const OK: &[u8] = b"\x88\x00\x0bgrpc-status\x010";

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

/// Reads the preface and says which settings there are: none.
pub async fn greet(wire: &mut Wire) {
    assert!(wire.read_exact(24).await.starts_with(b"PRI * HTTP/2.0"));
    write(wire, SETTINGS, 0, 0, &[]).await;
}

/// The next frame; `None` if the connection has ended.
pub async fn read(wire: &mut Wire) -> Option<Frame> {
    let head = wire.try_read(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    wire.try_read(length as usize).await?;
    Some(Frame { kind: head[3], flags: head[4], stream })
}

/// The next frame of these kinds; settings are acknowledged meanwhile.
pub async fn expect(wire: &mut Wire, kinds: &[u8]) -> Option<Frame> {
    loop {
        let frame = read(wire).await?;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => write(wire, SETTINGS, ACK, 0, &[]).await,
            found if kinds.contains(&found) => return Some(frame),
            _ => {}
        }
    }
}

pub async fn write(wire: &mut Wire, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    wire.write(frame).await;
}

/// A good answer with this message, and the status in its headers.
pub async fn reply(wire: &mut Wire, stream: u32, message: &[u8]) {
    write(wire, HEADERS, END_HEADERS, stream, OK).await;
    write(wire, DATA, END_STREAM, stream, message).await;
}

/// Leaves at once: what is beyond `last` was not looked at.
pub async fn leave(wire: &mut Wire, last: u32) {
    write(wire, GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat()).await;
}
