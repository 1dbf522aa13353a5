import { trim } from "../as/trim";

export enum Operation {
  Remove,
  Set,
  Add,
}

export class Change {
  constructor(
    public request: bool,
    public operation: Operation,
    public name: string,
    public value: string,
  ) {}
}

export class Parsed {
  changes: Change[] = [];
  problem: string = "";
}

// Parses lines such as "request set x-a some value"; a value reaches to the end
// of its line. Empty lines and those that begin with # are skipped.
export function parse(text: string): Parsed {
  const parsed = new Parsed();
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = trim(lines[i]);
    if (line.length == 0 || line.startsWith("#")) {
      continue;
    }
    const change = parseLine(line);
    if (change === null) {
      parsed.problem =
        "line " + (i + 1).toString() +
        ": expected \"request|response remove NAME\" or \"request|response set|add NAME VALUE\"";
      return parsed;
    }
    parsed.changes.push(change);
  }
  return parsed;
}

function parseLine(line: string): Change | null {
  const words = new Words(line);
  const direction = words.next();
  const operation = words.next();
  const name = words.next();
  const value = words.rest();
  if ((direction != "request" && direction != "response") || name.length == 0) {
    return null;
  }
  const request = direction == "request";
  if (operation == "remove" && value.length == 0) {
    return new Change(request, Operation.Remove, name, "");
  }
  if (operation == "set") {
    return new Change(request, Operation.Set, name, value);
  }
  if (operation == "add") {
    return new Change(request, Operation.Add, name, value);
  }
  return null;
}

class Words {
  constructor(private line: string) {}

  next(): string {
    const line = this.line.trimStart();
    let end = 0;
    while (end < line.length && line.charCodeAt(end) != 0x20 && line.charCodeAt(end) != 0x09) {
      end++;
    }
    this.line = line.substring(end);
    return line.substring(0, end);
  }

  rest(): string {
    return trim(this.line);
  }
}
