// Text as a string of JSON (RFC 8259).
export function quoted(text: string): string {
  let out = '"';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit == 0x22 || unit == 0x5c) {
      out += "\\" + text.charAt(i);
    } else if (unit == 0x0a) {
      out += "\\n";
    } else if (unit < 0x20) {
      out += "\\u00" + (unit < 0x10 ? "0" : "") + unit.toString(16);
    } else {
      out += text.charAt(i);
    }
  }
  return out + '"';
}
