// POST a name, and get a greeting.
import "../as_plugins/abort";
import { Host } from "@extism/as-pdk/lib/pdk";
import { quoted } from "../as_plugins/json";
import { output } from "../as_plugins/output";

export function hello(): i32 {
  output('{"message":' + quoted("🦀 Hello " + Host.inputString()) + "}");
  return 0;
}
