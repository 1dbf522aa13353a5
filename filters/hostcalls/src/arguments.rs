//! The arguments of an operation, taken one by one from its array.

use serde_json::Value;

use crate::bytes::{Bytes, Number, Pairs, hex};
use crate::op::{self, BUFFERS, Context, MAPS, Op, Path};
use crate::other;

pub struct Arguments<'a> {
    /// Where the operation stands, for the error.
    pub at: String,
    pub rest: &'a [Value],
}

impl<'a> Arguments<'a> {
    pub fn next(&mut self) -> Result<&'a Value, String> {
        let Some((first, rest)) = self.rest.split_first() else {
            return Err(format!("{}: an argument is missing", self.at));
        };
        self.rest = rest;
        Ok(first)
    }

    pub fn end(&self) -> Result<(), String> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(format!("{}: too many arguments", self.at))
        }
    }

    pub fn wrong<T>(&self, expected: &str) -> Result<T, String> {
        let at = &self.at;
        Err(format!("{at}: {expected} expected"))
    }

    /// A number from -(2^31) to 2^32 - 1; negative ones wrap, so -1 is the
    /// largest that the host can be given.
    pub fn number(&mut self) -> Result<u32, String> {
        let number = self.next()?.as_i64();
        match number {
            Some(number) if (-(1 << 31)..1 << 32).contains(&number) => Ok(number as u32),
            _ => self.wrong("a 32-bit number"),
        }
    }

    /// A number of 64 bits, or what gives one when the operation runs.
    pub fn computed(&mut self) -> Result<Number, String> {
        match self.rest.first() {
            Some(Value::Number(number)) => {
                self.rest = &self.rest[1..];
                let signed = number.as_i64().map(|number| number as u64);
                match signed.or(number.as_u64()) {
                    Some(bits) => Ok(Number::Literal(bits)),
                    None => self.wrong("a 64-bit number"),
                }
            }
            _ => self.bytes().map(Number::Computed),
        }
    }

    /// One of `names`, as its index; or a number, known or not.
    pub fn named(&mut self, what: &str, names: &[&str]) -> Result<u32, String> {
        let Some(Value::String(name)) = self.rest.first() else {
            return self.number();
        };
        self.rest = &self.rest[1..];
        match names.iter().position(|known| known == name) {
            Some(index) => Ok(index as u32),
            None => self.wrong(&format!("{what} ({}) or a number", names.join(", "))),
        }
    }

    pub fn map(&mut self) -> Result<u32, String> {
        self.named("a header map", &MAPS)
    }

    pub fn buffer(&mut self) -> Result<u32, String> {
        self.named("a buffer", &BUFFERS)
    }

    pub fn flag(&mut self) -> Result<bool, String> {
        match self.next()? {
            Value::Bool(flag) => Ok(*flag),
            _ => self.wrong("true or false"),
        }
    }

    pub fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Value::String(text) => Ok(text.clone()),
            _ => self.wrong("a string"),
        }
    }

    pub fn bytes(&mut self) -> Result<Bytes, String> {
        let value = self.next()?;
        self.bytes_of(value)
    }

    pub fn optional_bytes(&mut self) -> Result<Option<Bytes>, String> {
        match self.rest.first() {
            Some(Value::Null) => self.next().map(|_| None),
            _ => self.bytes().map(Some),
        }
    }

    fn bytes_of(&self, value: &Value) -> Result<Bytes, String> {
        let object = match value {
            Value::String(text) => return Ok(Bytes::Plain(text.clone().into_bytes())),
            Value::Object(object) => object,
            _ => return self.wrong("a string or an object that gives one"),
        };
        let mut entries = object.iter();
        let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
            return self.wrong("an object with one key");
        };
        let mut a = Arguments {
            at: format!("{} {kind}", self.at),
            rest: match value {
                // The segments of a path are one argument.
                Value::Array(list) if kind != "property" => list,
                one => std::slice::from_ref(one),
            },
        };
        let bytes = match kind.as_str() {
            "hex" => match hex(&a.text()?) {
                Some(bytes) => Bytes::Plain(bytes),
                None => return self.wrong("pairs of hexadecimal digits"),
            },
            "var" => Bytes::Variable(a.text()?),
            "join" => Bytes::Join(a.all_bytes()?),
            "add" => Bytes::Add(a.all_numbers()?),
            "to_hex" => Bytes::ToHex(Box::new(a.bytes()?)),
            "to_number" => Bytes::ToNumber(Box::new(a.bytes()?)),
            "header" => Bytes::Header(a.map()?, Box::new(a.bytes()?)),
            "count" => Bytes::Count(a.map()?),
            "body" => match a.rest {
                [_] => Bytes::Body(a.buffer()?, 0, u32::MAX),
                _ => Bytes::Body(a.buffer()?, a.number()?, a.number()?),
            },
            "body_size" => Bytes::BodySize(a.buffer()?),
            "property" => Bytes::Property(a.path()?),
            _ => return self.wrong("one of the forms of bytes in the README"),
        };
        a.end()?;
        Ok(bytes)
    }

    fn all_bytes(&mut self) -> Result<Vec<Bytes>, String> {
        let mut all = Vec::new();
        while !self.rest.is_empty() {
            all.push(self.bytes()?);
        }
        Ok(all)
    }

    fn all_numbers(&mut self) -> Result<Vec<Number>, String> {
        let mut all = Vec::new();
        while !self.rest.is_empty() {
            all.push(self.computed()?);
        }
        Ok(all)
    }

    pub fn pairs(&mut self) -> Result<Pairs, String> {
        let Value::Array(list) = self.next()? else {
            return self.wrong("an array of [key, value]");
        };
        list.iter()
            .map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([key, value]) => Ok((self.bytes_of(key)?, self.bytes_of(value)?)),
                _ => self.wrong("an array of [key, value]"),
            })
            .collect()
    }

    pub fn path(&mut self) -> Result<Path, String> {
        let segments: Option<Vec<&str>> = match self.next()? {
            Value::String(path) => Some(path.split('.').collect()),
            Value::Array(list) => list.iter().map(Value::as_str).collect(),
            _ => None,
        };
        match segments {
            Some(segments) => Ok(Path {
                shown: segments.join("."),
                joined: segments.join("\0").into_bytes(),
            }),
            None => self.wrong("a path (\"a.b\" or [\"a\",\"b\"])"),
        }
    }

    pub fn context(&mut self) -> Result<Context, String> {
        match self.rest.first().and_then(Value::as_str) {
            Some("own") => self.next().map(|_| Context::Own),
            Some("root") => self.next().map(|_| Context::Root),
            Some(_) => self.wrong("a context (own, root) or its number"),
            None => self.computed().map(Context::Id),
        }
    }

    pub fn import(&mut self) -> Result<String, String> {
        let name = self.text()?;
        let known = name.strip_prefix("proxy_").unwrap_or(&name);
        if other::NAMES.contains(&known) {
            Ok(name)
        } else {
            self.wrong(&format!("one of {}", other::NAMES.join(", ")))
        }
    }

    pub fn ops(&mut self) -> Result<Vec<Op>, String> {
        let value = self.next()?;
        op::parse_all(&self.at, value)
    }

    /// The operations for the other case, which may be missing.
    pub fn else_ops(&mut self) -> Result<Vec<Op>, String> {
        if self.rest.is_empty() {
            return Ok(Vec::new());
        }
        self.ops()
    }
}
