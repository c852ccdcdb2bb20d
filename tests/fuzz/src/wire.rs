//! Bytes that claim to be messages.

use soundpost_core::wire::redundant::{self, LEAD_LEN};
use soundpost_core::wire::{
    self, Answer, Command, Fault, Frame, HEADER_LEN, Header, Hello, Kind, Mute, Notice, Report, Welcome, WireError,
};

/// Any bytes: what parses is written as it was read, and a message cut short is never taken for something else.
pub fn wire_parse(data: &[u8]) {
    let whole = wire::parse(data);
    match whole {
        Ok((header, payload, rest)) => {
            assert_eq!(HEADER_LEN + payload.len() + rest.len(), data.len());
            assert!(fits(header.kind, payload.len()), "{header:?} is longer than its kind may be");
            let mut expected = data[..HEADER_LEN].to_vec();
            // Reserved: written as zeros, read as anything.
            expected[6..8].fill(0);
            let written = header.emit();
            assert_eq!(written[..], expected);
            let again = [&written[..], payload].concat();
            assert_eq!(wire::parse(&again), Ok((header, payload, &[][..])));
            if header.kind == Kind::Packet {
                let mut frame = Frame::EMPTY;
                match redundant::split(header.flags, payload) {
                    Ok(_) => {
                        assert_eq!(frame.fill(header, payload), Ok(()));
                        assert_eq!(frame.payload(), payload);
                        copies_come_apart(&frame);
                    }
                    Err(error) => assert_eq!(frame.fill(header, payload), Err(error)),
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // Who waits for more must never be asked to wait for more than any message has.
    if let (Err(WireError::Incomplete { needed }), Some([_, _, _, kind])) = (whole, data[..].first_chunk()) {
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == *kind);
        assert!(needed == HEADER_LEN || kind.is_some_and(|kind| fits(kind, needed - HEADER_LEN)), "{needed} bytes");
    }
    let end = whole.map_or(data.len(), |(_, _, rest)| data.len() - rest.len());
    for cut in (0..end).take(HEADER_LEN + 2).chain(end.checked_sub(1)) {
        match (wire::parse(&data[..cut]), whole) {
            (Err(WireError::Incomplete { needed }), Ok(_)) => assert!(needed > cut && needed <= end),
            (Err(WireError::Incomplete { needed }), Err(_)) => assert!(needed > cut),
            (early, late) => assert_eq!(early.err(), late.err(), "decided too early, at {cut}"),
        }
    }
}

fn fits(kind: Kind, length: usize) -> bool {
    let (min, max) = kind.payload_bounds();
    (min..=max).contains(&length)
}

/// What a slot takes can be taken apart, and what it comes apart into can be joined again.
fn copies_come_apart(frame: &Frame) {
    let parts = frame.parts();
    let Some(copy) = parts.copy else { return assert_eq!(parts.packet, frame.payload()) };
    assert_eq!(LEAD_LEN + copy.bytes.len() + parts.packet.len(), frame.payload().len());
    let header = |bytes: &[u8]| Header::new(Kind::Packet, bytes.len()).expect("part of a packet");
    let this = Header { media: soundpost_core::time::MediaTime(u64::from(copy.before)), ..header(parts.packet) };
    let (joined, lead) = redundant::join(&this, &header(copy.bytes)).expect("it was joined before");
    let payload = [&lead[..], copy.bytes, parts.packet].concat();
    assert_eq!((usize::from(joined.length), &payload[..]), (payload.len(), frame.payload()));
}

/// The payloads of greetings, welcomes, reports, commands, answers, notices and refusals: the same promises, and every room is large enough or refused.
pub fn wire_control(data: &[u8]) {
    let mut room = [0xa5; 1024];
    let (room_for, data) = data.split_first().map_or((0, data), |(size, rest)| (usize::from(*size) * 4, rest));
    if let Ok(hello) = Hello::parse(data) {
        match hello.emit(&mut room[..room_for]) {
            Ok(length) => {
                assert_eq!(Hello::parse(&room[..length]), Ok(hello));
                assert_eq!(room[..2], data[..2]);
                assert_eq!(room[2], data[2] & 3, "additions that are not known mean nothing");
                assert_eq!(room[4..length], data[4..]);
            }
            Err(error) => assert_eq!(error, WireError::Length { got: data.len(), min: 4, max: room_for }),
        }
    }
    if let Ok(welcome) = Welcome::parse(data) {
        assert_eq!(Welcome::parse(&welcome.emit()), Ok(welcome));
    }
    if let Ok(report) = Report::parse(data) {
        assert_eq!(report.emit()[..12], data[..12]);
    }
    if let Ok(notice) = Notice::parse(data) {
        assert_eq!(Notice::parse(&notice.emit()), Ok(notice));
    }
    if let Ok(mute) = Mute::parse(data) {
        assert_eq!(mute.emit(), data);
    }
    if let Ok(command) = Command::parse(data) {
        match command.emit(&mut room[..room_for]) {
            Ok(length) => assert_eq!(Command::parse(&room[..length]), Ok(command)),
            Err(error) => assert_eq!(error, WireError::Length { got: data.len(), min: 8, max: room_for }),
        }
    }
    if let Ok(answer) = Answer::parse(data) {
        assert!(answer.emit(&mut room[..room_for]).is_ok() == (data.len() <= room_for));
    }
    if let Ok(fault) = Fault::parse(data) {
        room.fill(0xa5);
        let length = fault.emit(&mut room[..room_for]);
        assert!(length <= room_for && room[length..].iter().all(|byte| *byte == 0xa5));
        if room_for >= 2 {
            let cut = Fault::parse(&room[..length]).expect("what was written can be read");
            assert_eq!(cut.code, fault.code);
            assert!(fault.text.starts_with(cut.text));
            assert!(fault.text.len() + 2 > room_for || cut.text == fault.text, "cut without need");
            assert!(cut.text.len() + 6 > room_for || cut.text == fault.text, "cut more than a character needs");
        }
    }
}
