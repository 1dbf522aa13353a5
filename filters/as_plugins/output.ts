// Output as UTF-8. The PDK's outputString counts UTF-16's units instead of bytes, and cuts other text than ASCII.
import { Host } from "@extism/as-pdk/lib/pdk";

export function output(text: string): void {
  Host.output(Uint8Array.wrap(String.UTF8.encode(text)));
}
