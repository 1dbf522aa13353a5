import { Kind, Value, parse } from "../as/json";

// The texts are part of the filter's behaviour: those of the Rust and Go
// versions are the same.
const NOT_JSON = "not valid JSON";
const NOT_AN_OBJECT = "must be a JSON object";
const BODY = "\"body\" must be a string";
const STATUS_MISSING = "\"http_status\" is missing";
const STATUS = "\"http_status\" must be an integer from 200 to 599";
const PERCENTAGE = "\"percentage\" must be a number from 0 to 100";

export class Config {
  // The response's body; default empty. Sent as it is.
  body: ArrayBuffer = new ArrayBuffer(0);
  // The response's status, 200 to 599.
  httpStatus: u32 = 0;
  // The share of requests that are answered, 0 to 100; default 100.
  percentage: f64 = 100;

  // Parses the plugin configuration; returns what is wrong, or nothing. Of
  // several problems, the first in the order of the checks below is told; of
  // several unknown keys, the first in byte order.
  parse(text: Uint8Array): string {
    const object = parse(text);
    if (object === null) {
      return NOT_JSON;
    }
    if (object.kind != Kind.Object) {
      return NOT_AN_OBJECT;
    }
    const key = unknownKey(object);
    if (key !== null) {
      return "unknown key \"" + key + "\"; known are \"body\", \"http_status\" and \"percentage\"";
    }
    if (object.members.has("body")) {
      const body = object.members.get("body");
      if (body.kind != Kind.String) {
        return BODY;
      }
      this.body = String.UTF8.encode(body.text);
    }
    if (!object.members.has("http_status")) {
      return STATUS_MISSING;
    }
    const status = object.members.get("http_status");
    // As an integer is written without point or exponent, a status has three
    // digits.
    if (status.kind != Kind.Number || !isThreeDigits(status.text)) {
      return STATUS;
    }
    this.httpStatus = <u32>I32.parseInt(status.text);
    if (this.httpStatus < 200 || this.httpStatus > 599) {
      return STATUS;
    }
    if (object.members.has("percentage")) {
      const percentage = object.members.get("percentage");
      if (percentage.kind != Kind.Number) {
        return PERCENTAGE;
      }
      this.percentage = F64.parseFloat(percentage.text);
      if (!(this.percentage >= 0 && this.percentage <= 100)) {
        return PERCENTAGE;
      }
    }
    return "";
  }
}

function isThreeDigits(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x30 || unit > 0x39) {
      return false;
    }
  }
  return text.length == 3;
}

function unknownKey(object: Value): string | null {
  let first: string | null = null;
  const keys = object.members.keys();
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (key == "body" || key == "http_status" || key == "percentage") {
      continue;
    }
    if (first === null || isBefore(key, first)) {
      first = key;
    }
  }
  return first;
}

// By the bytes of UTF-8: strings compare by their UTF-16 units here.
function isBefore(left: string, right: string): bool {
  const a = Uint8Array.wrap(String.UTF8.encode(left));
  const b = Uint8Array.wrap(String.UTF8.encode(right));
  for (let i = 0; i < min(a.length, b.length); i++) {
    if (a[i] != b[i]) {
      return a[i] < b[i];
    }
  }
  return a.length < b.length;
}
