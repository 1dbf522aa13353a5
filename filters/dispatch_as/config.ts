// The configuration: a key and its value a line, as in the other languages.
export class Config {
  upstream: string = "";
  authority: string = "";
  path: string = "";
  queue: string = "";
  // Empty if the configuration is right.
  problem: string = "";

  static parse(text: string): Config {
    const config = new Config();
    const lines = text.split("\n");
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i].trim();
      if (line.length == 0 || line.startsWith("#")) continue;
      const space = line.indexOf(" ");
      const key = space < 0 ? line : line.substring(0, space);
      const value = space < 0 ? "" : line.substring(space + 1).trim();
      if (key == "upstream") config.upstream = value;
      else if (key == "authority") config.authority = value;
      else if (key == "path") config.path = value;
      else if (key == "queue") config.queue = value;
      else {
        config.problem = `line ${i + 1}: expected "upstream|authority|path|queue VALUE"`;
        return config;
      }
    }
    const keys = ["upstream", "authority", "path", "queue"];
    const values = [config.upstream, config.authority, config.path, config.queue];
    for (let i = 0; i < keys.length; i++) {
      if (values[i].length == 0) {
        config.problem = keys[i] + " is missing";
        break;
      }
    }
    return config;
  }
}
