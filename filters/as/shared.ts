// Shared data, queues and metrics.
//
// Not the SDK's functions of these names: its get_shared_data passes no place
// for the value, its register_shared_queue and resolve_shared_queue pass the
// token itself where the host wants the address to write it to, and its
// get_metric calls proxy_record_metric.
import * as imports from "@solo-io/proxy-runtime/imports";
import { WasmResultValues } from "@solo-io/proxy-runtime/runtime";

// Where the host writes to. The host allocates what it returns with malloc.
const word = new StaticArray<u64>(3);
const first = changetype<usize>(word);
const second = first + 8;
const third = first + 16;

function taken(): ArrayBuffer {
  const data = load<usize>(first);
  const size = <i32>load<usize>(second);
  const copy = new ArrayBuffer(size);
  if (data != 0) {
    memory.copy(changetype<usize>(copy), data, size);
    __release(data);
  }
  return copy;
}

export class Data {
  constructor(public value: string, public cas: u32) {}
}

// The value and its compare-and-swap number; empty and 0 where there is none.
export function getSharedData(key: string): Data {
  const name = String.UTF8.encode(key);
  const status = imports.proxy_get_shared_data(
    changetype<usize>(name), name.byteLength, first, second, third);
  if (status != WasmResultValues.Ok) {
    return new Data("", 0);
  }
  return new Data(String.UTF8.decode(taken()), load<u32>(third));
}

export function setSharedData(key: string, value: string, cas: u32): WasmResultValues {
  const name = String.UTF8.encode(key);
  const bytes = String.UTF8.encode(value);
  return imports.proxy_set_shared_data(
    changetype<usize>(name), name.byteLength, changetype<usize>(bytes), bytes.byteLength, cas);
}

// The queue's number; 0 on failure.
export function registerQueue(name: string): u32 {
  const bytes = String.UTF8.encode(name);
  const status = imports.proxy_register_shared_queue(
    changetype<usize>(bytes), bytes.byteLength, first);
  return status == WasmResultValues.Ok ? load<u32>(first) : 0;
}

// The oldest message; null when there is none.
export function dequeue(queue: u32): ArrayBuffer | null {
  const status = imports.proxy_dequeue_shared_queue(queue, first, second);
  return status == WasmResultValues.Ok ? taken() : null;
}

export function getMetric(metric: u32): u64 {
  const status = imports.proxy_get_metric(metric, first);
  return status == WasmResultValues.Ok ? load<u64>(first) : 0;
}
