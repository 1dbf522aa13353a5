//! Where a value of RESP2 ends.
//!
//! `redis-protocol` parses a value that is there as a whole. This looks at each byte once, however
//! many pieces a value comes in, needs none of them again, and says so before anything is
//! allocated for what a length promises.
//! Source: the Redis serialization protocol specification.

/// Arrays within arrays.
const MAX_DEPTH: usize = 32;

/// It is no RESP2.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Follows one value after the other.
#[derive(Default)]
pub struct Scanner {
    state: State,
    /// How many values the arrays that are open still have to come, the innermost last.
    open: Vec<u64>,
}

#[derive(Default)]
enum State {
    #[default]
    Start,
    /// A simple string or an error; has the last byte been CR?
    Text {
        cr: bool,
    },
    Number(Number),
    /// So many bytes of a string.
    Bytes(u64),
    /// CR LF, of which so many bytes have come.
    End(usize),
}

struct Number {
    kind: u8,
    negative: bool,
    digits: u32,
    value: u64,
    cr: bool,
}

impl Scanner {
    /// Takes the bytes of a value, at the most. Answers how many, and whether it has ended.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let ended = match &mut self.state {
                State::Start => {
                    at += 1;
                    self.state = start(rest[0])?;
                    false
                }
                State::Text { cr } => match rest.iter().position(|&b| b == b'\n') {
                    Some(end) => {
                        let before = if end > 0 { rest[end - 1] == b'\r' } else { *cr };
                        if !before {
                            return Err(Malformed);
                        }
                        at += end + 1;
                        self.ended()
                    }
                    None => {
                        *cr = rest.ends_with(b"\r");
                        at = bytes.len();
                        false
                    }
                },
                State::Number(number) => {
                    at += 1;
                    match number.feed(rest[0])? {
                        false => false,
                        true => self.number()?,
                    }
                }
                State::Bytes(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= here as u64;
                    at += here;
                    if *left == 0 {
                        self.state = State::End(0);
                    }
                    false
                }
                State::End(seen) => {
                    if rest[0] != b"\r\n"[*seen] {
                        return Err(Malformed);
                    }
                    at += 1;
                    *seen += 1;
                    match *seen {
                        2 => self.ended(),
                        _ => false,
                    }
                }
            };
            if ended {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// A length or an integer is complete.
    fn number(&mut self) -> Result<bool, Malformed> {
        let State::Number(number) = &self.state else {
            return Err(Malformed);
        };
        let value = match (number.kind, number.negative) {
            (b':', _) => return Ok(self.ended()),
            // There is none.
            (_, true) if number.value == 1 => return Ok(self.ended()),
            (_, true) => return Err(Malformed),
            (_, false) => number.value,
        };
        match number.kind {
            b'$' => self.state = State::Bytes(value),
            _ if value == 0 => return Ok(self.ended()),
            _ if self.open.len() == MAX_DEPTH => return Err(Malformed),
            _ => {
                self.open.push(value);
                self.state = State::Start;
            }
        }
        if let State::Bytes(0) = self.state {
            self.state = State::End(0);
        }
        Ok(false)
    }

    /// A value has ended, and with it arrays whose last one it was: is it all?
    fn ended(&mut self) -> bool {
        self.state = State::Start;
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }
}

fn start(kind: u8) -> Result<State, Malformed> {
    match kind {
        b'+' | b'-' => Ok(State::Text { cr: false }),
        b':' | b'$' | b'*' => Ok(State::Number(Number {
            kind,
            negative: false,
            digits: 0,
            value: 0,
            cr: false,
        })),
        _ => Err(Malformed),
    }
}

impl Number {
    /// Is it complete?
    fn feed(&mut self, byte: u8) -> Result<bool, Malformed> {
        match byte {
            b'\n' if self.cr && self.digits > 0 => return Ok(true),
            _ if self.cr => return Err(Malformed),
            b'\r' => self.cr = true,
            b'-' if self.digits == 0 && !self.negative => self.negative = true,
            b'+' if self.digits == 0 && self.kind == b':' => {}
            // 64 bits, signed.
            b'0'..=b'9' if self.digits < 19 => {
                self.digits += 1;
                self.value = self.value * 10 + u64::from(byte - b'0');
            }
            _ => return Err(Malformed),
        }
        Ok(false)
    }
}
