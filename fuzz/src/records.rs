//! Guests that call their imports as an input says: by records, one for each call, of the function and its arguments.

use guest_host::CapabilityRules;

/// No script has more of them.
pub const MOST: usize = 40;

/// What the calls of a guest are.
pub struct Records {
    /// WebAssembly text for each function's call.
    functions: Vec<String>,
    /// How many arguments a record has, of which calls take the first.
    arguments: usize,
    /// What arguments are taken from.
    numbers: [u32; 16],
}

/// The call of an import with so many of a record's arguments.
pub fn call(name: &str, arguments: usize, result: bool) -> String {
    let argument = |n: usize| format!("(i32.load offset={} (local.get $at))", 4 + 4 * n);
    let arguments: String = (0..arguments).map(argument).collect();
    match result {
        true => format!("(drop (call ${name} {arguments}))"),
        false => format!("(call ${name} {arguments})"),
    }
}

pub fn byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

/// What a guest may use: everything, or nothing.
pub fn rules(restricted: bool) -> CapabilityRules {
    let mut rules = CapabilityRules::default();
    if restricted {
        rules.deny(b"all").expect("a rule");
    }
    rules
}

impl Records {
    pub fn new(functions: Vec<String>, arguments: usize, numbers: [u32; 16]) -> Records {
        Records {
            functions,
            arguments,
            numbers,
        }
    }

    /// Bytes of a record.
    pub fn size(&self) -> usize {
        4 + 4 * self.arguments
    }

    /// The text that runs the records from the local `$at` to the local `$end`.
    pub fn interpreter(&self) -> String {
        let mut choice = String::new();
        for (number, call) in self.functions.iter().enumerate() {
            choice.push_str(&format!(
                "(if (i32.eq (i32.load (local.get $at)) (i32.const {number})) (then {call}))"
            ));
        }
        let size = self.size();
        format!(
            "(loop $next
                (if (i32.lt_u (local.get $at) (local.get $end)) (then
                    {choice}
                    (local.set $at (i32.add (local.get $at) (i32.const {size})))
                    (br $next))))"
        )
    }

    /// Takes so many records from the input, a byte for the function and one for each argument.
    pub fn read(&self, input: &mut &[u8], count: usize) -> Vec<u8> {
        let count = count.min(MOST);
        let mut script = Vec::with_capacity(count * self.size());
        for _ in 0..count {
            let Some(function) = byte(input) else { break };
            let function = usize::from(function) % self.functions.len();
            script.extend_from_slice(&(function as u32).to_le_bytes());
            for _ in 0..self.arguments {
                let choice = byte(input).unwrap_or(0);
                let number = match self.numbers.get(usize::from(choice)) {
                    Some(number) => *number,
                    None => u32::from(choice) << 3,
                };
                script.extend_from_slice(&number.to_le_bytes());
            }
        }
        script
    }
}
