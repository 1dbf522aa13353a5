// Not String.trim of this AssemblyScript: it leaves blanks before a text that
// is shorter than them.
export function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 32) start++;
  while (end > start && text.charCodeAt(end - 1) <= 32) end--;
  return text.substring(start, end);
}
