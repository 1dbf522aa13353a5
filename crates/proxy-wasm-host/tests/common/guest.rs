//! Guests in the text format, with shorthands for what all of them need.
//!
//! In a body, `{text}` is the address and length of that text in the guest's memory (with the
//! escapes `\0`, `\n` and `\xNN`), `#7` is `(i32.const 7)`, and `@` is two result addresses, whose
//! contents `(call $say)` logs. `(call $note …)` logs a status as `=` and a character.

use super::imports;

/// Addresses of a result's address and length.
pub const OUT: u32 = 16;
/// Where the texts are.
const TEXTS: usize = 1024;
/// Where the allocator starts.
pub const HEAP: u32 = 32768;

pub struct Guest {
    marker: String,
    memory: String,
    allocator: String,
    texts: Vec<u8>,
    functions: String,
    callbacks: String,
}

impl Default for Guest {
    fn default() -> Guest {
        Guest::new()
    }
}

impl Guest {
    pub fn new() -> Guest {
        Guest {
            marker: "proxy_abi_version_0_2_1".into(),
            memory: r#"(memory (export "memory") 1 16)"#.into(),
            allocator: ALLOCATOR.into(),
            texts: Vec::new(),
            functions: String::new(),
            callbacks: String::new(),
        }
    }

    pub fn abi(mut self, version: &str) -> Guest {
        self.marker = format!("proxy_abi_version_{version}");
        self
    }

    pub fn memory(mut self, memory: &str) -> Guest {
        self.memory = memory.into();
        self
    }

    /// Replaces the allocator, which grows the memory when it must.
    pub fn allocator(mut self, allocator: &str) -> Guest {
        self.allocator = self.expand(allocator);
        self
    }

    /// Adds fields of the module.
    pub fn with(mut self, fields: &str) -> Guest {
        let fields = self.expand(fields);
        self.functions.push_str(&fields);
        self
    }

    /// Adds a callback: its name without `proxy_`, its parameters `$0`, `$1` …, whether it has a
    /// result, and its body.
    pub fn callback(mut self, name: &str, params: usize, result: bool, body: &str) -> Guest {
        let body = self.expand(body);
        let params: String = (0..params).map(|i| format!("(param ${i} i32)")).collect();
        let result = if result { "(result i32)" } else { "" };
        self.callbacks.push_str(&format!(
            "(func $proxy_{name}_ (export \"proxy_{name}\") {params} {result}\n{body})\n"
        ));
        self
    }

    /// A callback that continues after the body.
    pub fn request_headers(self, body: &str) -> Guest {
        self.callback("on_request_headers", 3, true, &format!("{body} #0"))
    }

    pub fn wat(&self) -> String {
        let texts: String = self.texts.iter().map(|b| format!("\\{b:02x}")).collect();
        assert!(TEXTS + self.texts.len() < HEAP as usize);
        format!(
            r#"(module
            {}
            {}
            (data (i32.const {TEXTS}) "{texts}")
            (func (export "{}"))
            {}
            {HELPERS}
            {}
            {})"#,
            imports::all(),
            self.memory,
            self.marker,
            self.allocator,
            self.functions,
            self.callbacks
        )
    }

    fn expand(&mut self, body: &str) -> String {
        let mut out = String::new();
        let mut chars = body.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' => {
                    let text: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    let text = unescape(&text);
                    let at = TEXTS + self.texts.len();
                    out += &format!("(i32.const {at}) (i32.const {})", text.len());
                    self.texts.extend(text);
                }
                '#' => {
                    let mut number = String::new();
                    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '-') {
                        number.push(c);
                    }
                    out += &format!("(i32.const {number})");
                }
                '@' => out += &format!("(i32.const {OUT}) (i32.const {})", OUT + 4),
                c => out.push(c),
            }
        }
        out
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => match rest.next() {
                Some(b'0') => bytes.push(0),
                Some(b'n') => bytes.push(b'\n'),
                Some(b'x') => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    let digits = std::str::from_utf8(&digits).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                }
                other => panic!("escape {other:?}"),
            },
            byte => bytes.push(byte),
        }
    }
    bytes
}

/// Hands out fresh memory, whose bytes are 0xaa before the host writes them.
const ALLOCATOR: &str = r#"
    (global $heap (mut i32) (i32.const 32768))
    (func $allocate (export "proxy_on_memory_allocate") (param $size i32) (result i32)
        (local $at i32)
        (if (i32.eqz (local.get $size)) (then unreachable))
        (local.set $at (global.get $heap))
        (global.set $heap (i32.add (global.get $heap) (local.get $size)))
        (block $fits
            (loop $grow
                (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                (if (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0))
                    (then (return (i32.const 0))))
                (br $grow)))
        (memory.fill (local.get $at) (i32.const 0xaa) (local.get $size))
        (local.get $at))
"#;

/// `$note` logs a status at level warn; `$say` logs the result at `@`; `$say_number` logs the
/// number at an address in decimal.
const HELPERS: &str = r#"
    (func $note (param $status i32)
        (i32.store8 (i32.const 0) (i32.const 61))
        (i32.store8 (i32.const 1) (i32.add (local.get $status) (i32.const 48)))
        (drop (call $proxy_log (i32.const 3) (i32.const 0) (i32.const 2))))
    (func $say
        (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20)))))
    (func $say_number (param $n i64)
        (local $at i32)
        (local.set $at (i32.const 120))
        (loop $next
            (local.set $at (i32.sub (local.get $at) (i32.const 1)))
            (i32.store8 (local.get $at)
                (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
            (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
            (br_if $next (i64.ne (local.get $n) (i64.const 0))))
        (drop (call $proxy_log (i32.const 2) (local.get $at)
            (i32.sub (i32.const 120) (local.get $at)))))
    (func $say_number_at (param $at i32)
        (call $say_number (i64.extend_i32_u (i32.load (local.get $at)))))
"#;

/// Any bytes as a text of a body, braces included.
pub fn bytes(bytes: &[u8]) -> String {
    let bytes: String = bytes.iter().map(|b| format!("\\x{b:02x}")).collect();
    format!("{{{bytes}}}")
}

/// A serialized map as a text of a body.
pub fn map(pairs: &[(&str, &str)]) -> String {
    bytes(&proxy_wasm_host::serialize_map(|visit| {
        for (key, value) in pairs {
            visit(key.as_bytes(), value.as_bytes());
        }
    }))
}

/// The least headers of a request.
pub const REQUEST: [(&str, &str); 3] = [(":method", "GET"), (":path", "/"), (":authority", "a")];

/// An HTTP call of `upstream`, whose status is noted and whose id goes to address 24.
pub fn http_call(upstream: &str) -> String {
    format!(
        "(call $note (call $proxy_http_call {{{upstream}}} {} {{}} {{}} #0 #24))",
        map(&REQUEST)
    )
}
