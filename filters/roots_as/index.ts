// Two filters in one module: the one that a configuration means is chosen by its root id. Each says in a response header which it is,
// and what its configuration is.
export * from "@solo-io/proxy-runtime/proxy";
import {
  Context, FilterHeadersStatusValues, RootContext, registerRootContext, stream_context,
} from "@solo-io/proxy-runtime";

class Root extends RootContext {
  constructor(id: u32, public name: string) {
    super(id);
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

class Stream extends Context {
  constructor(id: u32, private root: Root) {
    super(id, root);
  }

  onResponseHeaders(count: u32, endOfStream: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-root", this.root.name + "=" + this.root.getConfiguration());
    return FilterHeadersStatusValues.Continue;
  }
}

registerRootContext((id: u32) => new Root(id, "one"), "one");
registerRootContext((id: u32) => new Root(id, "two"), "two");
