// A JSON parser (RFC 8259) for small configurations: the language has none in
// its standard library. Recursive descent; nesting is limited, so that no
// configuration can exhaust the stack.
//
// No "condition ? reference : null" here: AssemblyScript 0.17 counts the
// reference wrongly and frees the object while it is in use.
import { isUtf8 } from "./utf8";

export enum Kind {
  Null,
  Bool,
  Number,
  String,
  Array,
  Object,
}

export class Value {
  // A string's value, or the text of a number as it was written.
  text: string = "";
  // An object's members; of equal names, the last one.
  members: Map<string, Value> = new Map<string, Value>();
  // An array's elements.
  elements: Array<Value> = [];

  constructor(public kind: Kind) {}
}

const MAX_DEPTH = 127;

// Parses the text; null if it is not exactly one JSON value in UTF-8.
export function parse(text: Uint8Array): Value | null {
  if (!isUtf8(text)) {
    return null;
  }
  const parser = new Parser(text);
  const value = parser.value(0);
  if (value === null) {
    return null;
  }
  parser.skipSpace();
  if (!parser.atEnd()) {
    return null;
  }
  return value;
}

class Parser {
  private at: i32 = 0;

  constructor(private text: Uint8Array) {}

  atEnd(): bool {
    return this.at >= this.text.length;
  }

  // The byte here; 0, which JSON allows nowhere, at the end.
  private peek(): u8 {
    return this.atEnd() ? 0 : this.text[this.at];
  }

  private take(byte: u8): bool {
    if (this.atEnd() || this.text[this.at] != byte) {
      return false;
    }
    this.at++;
    return true;
  }

  private word(word: string, kind: Kind): Value | null {
    for (let i = 0; i < word.length; i++) {
      if (!this.take(<u8>word.charCodeAt(i))) {
        return null;
      }
    }
    return new Value(kind);
  }

  skipSpace(): void {
    while (!this.atEnd()) {
      const byte = this.text[this.at];
      if (byte != 0x20 && byte != 0x09 && byte != 0x0a && byte != 0x0d) {
        return;
      }
      this.at++;
    }
  }

  value(depth: i32): Value | null {
    if (depth > MAX_DEPTH) {
      return null;
    }
    this.skipSpace();
    switch (this.peek()) {
      case 0x7b: // {
        return this.object(depth);
      case 0x5b: // [
        return this.array(depth);
      case 0x22: // "
        return this.string();
      case 0x74: // t
        return this.word("true", Kind.Bool);
      case 0x66: // f
        return this.word("false", Kind.Bool);
      case 0x6e: // n
        return this.word("null", Kind.Null);
      default:
        return this.number();
    }
  }

  private object(depth: i32): Value | null {
    const object = new Value(Kind.Object);
    this.at++;
    this.skipSpace();
    if (this.take(0x7d)) {
      return object;
    }
    do {
      this.skipSpace();
      if (this.peek() != 0x22) {
        return null;
      }
      const name = this.string();
      if (name === null) {
        return null;
      }
      this.skipSpace();
      if (!this.take(0x3a)) {
        return null;
      }
      const value = this.value(depth + 1);
      if (value === null) {
        return null;
      }
      object.members.set(name.text, value);
      this.skipSpace();
    } while (this.take(0x2c));
    if (!this.take(0x7d)) {
      return null;
    }
    return object;
  }

  private array(depth: i32): Value | null {
    const array = new Value(Kind.Array);
    this.at++;
    this.skipSpace();
    if (this.take(0x5d)) {
      return array;
    }
    do {
      const value = this.value(depth + 1);
      if (value === null) {
        return null;
      }
      array.elements.push(value);
      this.skipSpace();
    } while (this.take(0x2c));
    if (!this.take(0x5d)) {
      return null;
    }
    return array;
  }

  private digits(): bool {
    const start = this.at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39) {
      this.at++;
    }
    return this.at > start;
  }

  private number(): Value | null {
    const start = this.at;
    this.take(0x2d);
    // No leading zeros.
    if (!this.take(0x30) && !this.digits()) {
      return null;
    }
    if (this.take(0x2e) && !this.digits()) {
      return null;
    }
    if (this.take(0x65) || this.take(0x45)) {
      if (!this.take(0x2b)) {
        this.take(0x2d);
      }
      if (!this.digits()) {
        return null;
      }
    }
    const number = new Value(Kind.Number);
    number.text = this.decode(start, this.at);
    return number;
  }

  private string(): Value | null {
    const string = new Value(Kind.String);
    this.at++;
    let plain = this.at;
    while (!this.atEnd()) {
      const byte = this.text[this.at];
      if (byte < 0x20) {
        return null;
      }
      if (byte != 0x22 && byte != 0x5c) {
        this.at++;
        continue;
      }
      string.text += this.decode(plain, this.at);
      this.at++;
      if (byte == 0x22) {
        return string;
      }
      const escaped = this.escape();
      if (escaped.length == 0) {
        return null;
      }
      string.text += escaped;
      plain = this.at;
    }
    return null;
  }

  // What follows a backslash; empty if that is no escape.
  private escape(): string {
    if (this.take(0x22)) return "\"";
    if (this.take(0x5c)) return "\\";
    if (this.take(0x2f)) return "/";
    if (this.take(0x62)) return "\b";
    if (this.take(0x66)) return "\f";
    if (this.take(0x6e)) return "\n";
    if (this.take(0x72)) return "\r";
    if (this.take(0x74)) return "\t";
    const unit = this.codeUnit();
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) {
      return "";
    }
    if (unit < 0xd800 || unit > 0xdbff) {
      return String.fromCharCode(unit);
    }
    // The first half of a surrogate pair: the other one must follow.
    if (!this.take(0x5c)) {
      return "";
    }
    const second = this.codeUnit();
    if (second < 0xdc00 || second > 0xdfff) {
      return "";
    }
    return String.fromCharCode(unit) + String.fromCharCode(second);
  }

  // u and four hexadecimal digits; -1 if there are none.
  private codeUnit(): i32 {
    if (!this.take(0x75)) {
      return -1;
    }
    let unit = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.peek();
      let digit: i32;
      if (byte >= 0x30 && byte <= 0x39) digit = byte - 0x30;
      else if (byte >= 0x41 && byte <= 0x46) digit = byte - 0x41 + 10;
      else if (byte >= 0x61 && byte <= 0x66) digit = byte - 0x61 + 10;
      else return -1;
      unit = unit * 16 + digit;
      this.at++;
    }
    return unit;
  }

  private decode(start: i32, end: i32): string {
    return String.UTF8.decodeUnsafe(this.text.dataStart + start, end - start);
  }
}
