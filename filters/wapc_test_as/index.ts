// What a host of waPC has to do, an operation for each thing. It answers as wapc_test does.
import "../as_plugins/abort";
import { consoleLog, handleCall, hostCall, register, Result } from "@wapc/as-guest";

let calls = 0;

register("echo", (message: ArrayBuffer): Result<ArrayBuffer> => Result.ok(message));

// An error with the message as its text.
register("fail", (message: ArrayBuffer): Result<ArrayBuffer> =>
  Result.error<ArrayBuffer>(new Error(String.UTF8.decode(message))));

// How often this instance was asked.
register("count", (message: ArrayBuffer): Result<ArrayBuffer> => {
  calls++;
  return Result.ok(String.UTF8.encode(calls.toString()));
});

// "binding/namespace/operation/message": what the host answers.
register("host_call", (message: ArrayBuffer): Result<ArrayBuffer> => {
  const text = String.UTF8.decode(message);
  const parts: string[] = [];
  let from = 0;
  while (parts.length < 3) {
    const to = text.indexOf("/", from);
    if (to < 0) {
      return Result.error<ArrayBuffer>(new Error("no binding/namespace/operation/message"));
    }
    parts.push(text.slice(from, to));
    from = to + 1;
  }
  return hostCall(parts[0], parts[1], parts[2], String.UTF8.encode(text.slice(from)));
});

register("log", (message: ArrayBuffer): Result<ArrayBuffer> => {
  consoleLog(String.UTF8.decode(message));
  return Result.ok(new ArrayBuffer(0));
});

// A response as JSON, with the length of the message in a header.
register("json", (message: ArrayBuffer): Result<ArrayBuffer> => {
  const length = message.byteLength.toString();
  return Result.ok(String.UTF8.encode(`{"status": 201, "headers": {"x-length": "${length}"}, "body": "made"}`));
});

register("panic", (message: ArrayBuffer): Result<ArrayBuffer> => {
  throw new Error("on purpose");
});

register("loop", (message: ArrayBuffer): Result<ArrayBuffer> => {
  while (true) {}
});

export function __guest_call(operationSize: usize, payloadSize: usize): bool {
  return handleCall(operationSize, payloadSize);
}
