// Answers a share of the requests with a fixed response.
//
// The same filter exists in Rust and Go; all three take the same
// configuration, log the same errors and answer the same bytes.
export * from "@solo-io/proxy-runtime/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  GrpcStatusValues,
  LogLevelValues,
  RootContext,
  log,
  registerRootContext,
  send_local_response,
} from "@solo-io/proxy-runtime";

import { configuration } from "../as/configuration";
import { Config } from "./config";
import { Random } from "./random";

class Root extends RootContext {
  config: Config = new Config();
  random: Random = new Random();

  onConfigure(size: u32): bool {
    const config = new Config();
    const problem = config.parse(configuration(size));
    if (problem.length > 0) {
      log(LogLevelValues.error, "invalid configuration: " + problem);
      return false;
    }
    this.config = config;
    return true;
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

class Stream extends Context {
  constructor(id: u32, private root: Root) {
    super(id, root);
  }

  onRequestHeaders(count: u32, end_of_stream: bool): FilterHeadersStatusValues {
    const config = this.root.config;
    if (this.root.random.percent() >= config.percentage) {
      return FilterHeadersStatusValues.Continue;
    }
    send_local_response(config.httpStatus, "", config.body, [], GrpcStatusValues.InvalidCode);
    return FilterHeadersStatusValues.StopIteration;
  }
}

registerRootContext((id: u32) => new Root(id), "");
