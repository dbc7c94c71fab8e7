// Reads {name: AsyncAPI document} as JSON from standard input; writes {name: what the official parser has to say}.
const { Parser } = require("@asyncapi/parser");
const { readFileSync } = require("fs");

async function main() {
  const parser = new Parser();
  const found = {};
  for (const [name, document] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
    const { diagnostics } = await parser.parse(document);
    found[name] = diagnostics.map(({ code, message, path, severity }) => ({ code, message, path, severity }));
  }
  process.stdout.write(JSON.stringify(found));
}

main();
