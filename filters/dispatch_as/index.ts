// Asks an upstream about each request and tells the request what came; numbers
// the requests in shared data, counts them in metrics, and collects a line for
// each in a queue. Takes the same configuration as the Rust version.
export * from "@solo-io/proxy-runtime/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  HeaderPair,
  Headers,
  LogLevelValues,
  RootContext,
  WasmResultValues,
  log,
  registerRootContext,
  stream_context,
} from "@solo-io/proxy-runtime";
import {
  BaseContext,
  BufferTypeValues,
  MetricTypeValues,
  define_metric,
  enqueue_shared_queue,
  get_buffer_bytes,
  increment_metric,
  record_metric,
} from "@solo-io/proxy-runtime/runtime";

import { configuration } from "../as/configuration";
import { dequeue, getMetric, getSharedData, registerQueue, setSharedData } from "../as/shared";
import { Config } from "./config";

// Milliseconds that bound the call.
const TIMEOUT: u32 = 2000;
// The key in shared data.
const KEY = "dispatch";

class Root extends RootContext {
  config: Config = new Config();
  queue: u32 = 0;
  requests: u32 = 0;
  // Sizes of answers, in bytes.
  size: u32 = 0;

  onConfigure(size: u32): bool {
    this.config = Config.parse(String.UTF8.decode(configuration(size).buffer));
    if (this.config.problem.length > 0) {
      log(LogLevelValues.error, "invalid configuration: " + this.config.problem);
      return false;
    }
    this.queue = registerQueue(this.config.queue);
    this.requests = define_metric(MetricTypeValues.Counter, "dispatch.requests").metric_id;
    this.size = define_metric(MetricTypeValues.Histogram, "dispatch.size").metric_id;
    return true;
  }

  onQueueReady(queue: u32): void {
    for (let message = dequeue(queue); message != null; message = dequeue(queue)) {
      log(LogLevelValues.info, "queue: " + String.UTF8.decode(message));
    }
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

class Stream extends Context {
  path: string = "";
  number: u64 = 0;
  // Status and size of the answer, and the request's number.
  result: string = "";

  constructor(id: u32, private root: Root) {
    super(id, root);
  }

  onRequestHeaders(count: u32, end_of_stream: bool): FilterHeadersStatusValues {
    const root = this.root;
    this.path = stream_context.headers.request.get(":path");
    this.number = next();
    report("increment_metric", increment_metric(root.requests, 1));
    const headers: Headers = [
      pair(":method", "GET"),
      pair(":path", root.config.path),
      pair(":authority", root.config.authority),
      pair("x-path", this.path),
    ];
    const result = root.httpCall(
      root.config.upstream, headers, new ArrayBuffer(0), [], TIMEOUT, this,
      (origin: BaseContext, headers: u32, size: usize, trailers: u32): void => {
        (origin as Stream).answered(headers, size);
      });
    if (result != WasmResultValues.Ok) {
      log(LogLevelValues.error, "no such upstream: " + root.config.upstream);
      return FilterHeadersStatusValues.Continue;
    }
    return FilterHeadersStatusValues.StopIteration;
  }

  answered(headers: u32, size: usize): void {
    const request = stream_context.headers.request;
    if (headers == 0) {
      this.result = "failed 0 " + this.number.toString();
    } else {
      const status = stream_context.headers.http_callback.get(":status");
      this.result = status + " " + size.toString() + " " + this.number.toString();
      const body = get_buffer_bytes(BufferTypeValues.HttpCallResponseBody, 0, <u32>size);
      request.replace("x-answer", firstLine(String.UTF8.decode(body)));
    }
    report("record_metric", record_metric(this.root.size, size));
    request.replace("x-dispatch", this.result);
    this.continueRequest();
  }

  onResponseHeaders(count: u32, end_of_stream: bool): FilterHeadersStatusValues {
    const response = stream_context.headers.response;
    response.add("x-dispatch", this.result);
    response.add("x-requests", getMetric(this.root.requests).toString());
    return FilterHeadersStatusValues.Continue;
  }

  onLog(): void {
    const line = String.UTF8.encode(this.path + " " + this.result);
    report("enqueue", enqueue_shared_queue(this.root.queue, line));
  }
}

// One more than the last, over all workers.
function next(): u64 {
  while (true) {
    const data = getSharedData(KEY);
    const last: u64 = data.value.length > 0 ? U64.parseInt(data.value) : 0;
    const status = setSharedData(KEY, (last + 1).toString(), data.cas);
    if (status != WasmResultValues.CasMismatch) {
      report("set_shared_data", status);
      return last + 1;
    }
  }
}

function firstLine(text: string): string {
  return text.split("\n")[0].split("\r")[0];
}

function pair(name: string, value: string): HeaderPair {
  return new HeaderPair(String.UTF8.encode(name), String.UTF8.encode(value));
}

function report(call: string, status: WasmResultValues): void {
  if (status != WasmResultValues.Ok) {
    log(LogLevelValues.error, call + ": status " + status.toString());
  }
}

registerRootContext((id: u32) => new Root(id), "");
