// The plugin configuration's bytes, during onConfigure.
//
// Not RootContext.getConfiguration() of the SDK: its onConfigure passes the
// size of the configuration where the host wants the address to write the size
// to, so the host overwrites a word of the guest's memory, and the text stays
// empty.
import { get_buffer_bytes, BufferTypeValues } from "@solo-io/proxy-runtime/runtime";

export function configuration(size: u32): Uint8Array {
  if (size == 0) {
    return new Uint8Array(0);
  }
  return Uint8Array.wrap(get_buffer_bytes(BufferTypeValues.PluginConfiguration, 0, size));
}
