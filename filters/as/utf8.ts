// Whether bytes are UTF-8 (RFC 3629, section 4): String.UTF8.decode takes
// anything.
export function isUtf8(bytes: Uint8Array): bool {
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at++];
    if (first < 0x80) {
      continue;
    }
    // How many bytes follow, and the range of the next of them.
    let follow = 0;
    let low: u8 = 0x80;
    let high: u8 = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
      follow = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      follow = 2;
      if (first == 0xe0) low = 0xa0; // no longer form of a shorter one
      if (first == 0xed) high = 0x9f; // no surrogate
    } else if (first >= 0xf0 && first <= 0xf4) {
      follow = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f; // nothing above U+10FFFF
    } else {
      return false;
    }
    for (; follow > 0; follow--) {
      if (at >= bytes.length || bytes[at] < low || bytes[at] > high) {
        return false;
      }
      at++;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}
