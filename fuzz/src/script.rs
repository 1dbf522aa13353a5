//! Bytes as steps: what happens to the guest, and the host calls that it makes then.
//!
//! Any bytes are a script. The first is the version and the mock's manners; then items follow, by
//! their first byte: below 0x80 a host call with its arguments, below 0xe0 an event, below 0xf0 the
//! end of a callback, else bytes for the guest's memory.

use crate::guest::{END, MAX_RECORDS, MODE, OUT, RECORD, imports};
use crate::texts::Texts;

/// No script has more of them.
const MAX_STEPS: usize = 32;

/// What the host does. Numbers choose among what is there.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The entry point, which comes first.
    Initialize,
    Root,
    Stream(u8),
    RequestHeaders(u8, bool),
    RequestBody(u8, bool),
    RequestTrailers(u8),
    ResponseHeaders(u8, bool),
    ResponseBody(u8, bool),
    ResponseTrailers(u8),
    Tick(u8),
    Queue(u8, u8),
    HttpResponse(u8, u8),
    Grpc(u8, u8),
    Foreign(u8, u8),
    Finish(u8, bool),
    Shutdown,
}

/// An event, what is written to memory before it, and the records of the calls that follow.
pub struct Step {
    pub event: Event,
    pub pokes: Vec<(u32, Vec<u8>)>,
    pub records: Vec<u8>,
}

pub struct Script {
    /// Number of the ABI version, 0 to 2.
    pub abi: usize,
    /// Most capabilities are denied.
    pub restricted: bool,
    /// Calls outlive their streams.
    pub detach: bool,
    /// The stream's maps change while they are read.
    pub fickle: bool,
    pub steps: Vec<Step>,
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }
}

impl Script {
    pub fn read(bytes: &[u8], texts: &Texts) -> Option<Script> {
        let mut reader = Reader(bytes);
        let first = reader.byte()?;
        let mut script = Script {
            abi: usize::from(first % 3),
            restricted: first & 0x20 != 0,
            detach: first & 0x40 != 0,
            fickle: first & 0x80 != 0,
            steps: vec![Step::new(Event::Initialize)],
        };
        let mut records = 0;
        while let Some(item) = reader.byte() {
            let full = script.steps.len() == MAX_STEPS;
            let step = script.steps.last_mut()?;
            match item {
                0..0x80 | 0xe0..0xf0 if records == MAX_RECORDS => break,
                0..0x80 => {
                    records += 1;
                    step.call(item.into(), &mut reader, texts)?;
                }
                0x80..0xe0 if full => break,
                0x80..0xe0 => {
                    let event = Event::read(item - 0x80, &mut reader)?;
                    script.steps.push(Step::new(event));
                }
                0xe0..0xf0 => {
                    records += 1;
                    step.record(END, &[u64::from(item & 3)]);
                }
                0xf0 => {
                    let mode = reader.byte()? % 5;
                    let address = argument(&mut reader, texts, &mut 0)? as u32;
                    step.pokes.push((MODE, vec![mode]));
                    step.pokes.push((MODE + 4, address.to_le_bytes().into()));
                }
                _ => {
                    let at = u16::from_le_bytes(reader.number()?);
                    let len = usize::from(item & 15) * 4;
                    let (bytes, rest) = reader.0.split_at_checked(len)?;
                    reader.0 = rest;
                    step.pokes.push((at.into(), bytes.to_vec()));
                }
            }
        }
        Some(script)
    }
}

impl Event {
    fn read(kind: u8, reader: &mut Reader<'_>) -> Option<Event> {
        let mut which = || reader.byte();
        Some(match kind % 16 {
            0 => Event::Root,
            1 | 2 => Event::Stream(which()?),
            3 => Event::RequestHeaders(which()?, kind >= 16),
            4 => Event::RequestBody(which()?, kind >= 16),
            5 => Event::RequestTrailers(which()?),
            6 => Event::ResponseHeaders(which()?, kind >= 16),
            7 => Event::ResponseBody(which()?, kind >= 16),
            8 => Event::ResponseTrailers(which()?),
            9 => Event::Tick(which()?),
            10 => Event::Queue(which()?, which()?),
            11 => Event::HttpResponse(which()?, which()?),
            12 => Event::Grpc(which()?, which()?),
            13 => Event::Foreign(which()?, which()?),
            14 => Event::Finish(which()?, kind >= 16),
            _ => Event::Shutdown,
        })
    }
}

impl Step {
    fn new(event: Event) -> Step {
        Step {
            event,
            pokes: Vec::new(),
            records: Vec::new(),
        }
    }

    fn record(&mut self, number: u32, arguments: &[u64]) {
        let end = self.records.len() + RECORD as usize;
        self.records.extend(u64::from(number).to_le_bytes());
        self.records
            .extend(arguments.iter().flat_map(|a| a.to_le_bytes()));
        self.records.resize(end, 0);
    }

    fn call(&mut self, number: u32, reader: &mut Reader<'_>, texts: &Texts) -> Option<()> {
        let (_, params, _) = imports().nth(number as usize % imports().count())?;
        let mut arguments = Vec::with_capacity(12);
        let mut last = 0;
        for _ in params.chars() {
            arguments.push(argument(reader, texts, &mut last)?);
        }
        self.record(number, &arguments);
        Some(())
    }
}

/// One argument: mostly one that makes sense. `last`: the length of the last text.
fn argument(reader: &mut Reader<'_>, texts: &Texts, last: &mut u32) -> Option<u64> {
    let kind = reader.byte()?;
    Some(match kind {
        // Types, levels, identifiers, short lengths.
        0..0x40 => kind.into(),
        0x40..0x80 => {
            let (at, len) = texts.place(kind - 0x40);
            *last = len;
            at.into()
        }
        0x80..0xc0 => u64::from(OUT) + 4 * u64::from(kind - 0x80),
        0xc0..0xe0 => u64::from(*last),
        // What an earlier call has written.
        0xe0..0xf0 => 1 << 32 | (u64::from(OUT) + 4 * u64::from(kind & 15)),
        0xf0 => 0xffff_ffff,
        0xf1 => 0x8000_0000,
        0xf2 => 0x7fff_ffff,
        0xf3 => 0xffff_fffc,
        0xf4 => u64::MAX,
        0xf5 => 1 << 63,
        // About the end of the memory.
        0xf6 => 0x20000,
        0xf7 => 0x20000 - 1,
        0xf8 => 0x20000 - 4,
        0xf9 => 0x80000,
        0xfa => u16::from_le_bytes(reader.number()?).into(),
        0xfb => u64::from_le_bytes(reader.number()?),
        _ => u32::from_le_bytes(reader.number()?).into(),
    })
}
