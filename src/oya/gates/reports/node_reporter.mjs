// The reporter that oya gives `node --test`: one JSON object a line, bounded.
// Node's own reports name no file (JUnit, TAP), so a test could not be told from its namesake.
const TOLD = new Set(["test:start", "test:pass", "test:fail", "test:stdout", "test:stderr"]);
const LIMIT = 8000;

const clipped = (text) => (typeof text === "string" ? text.slice(0, LIMIT) : undefined);

function said(error) {
  if (!error) return undefined;
  const cause = error.cause instanceof Error || typeof error.cause === "object" ? error.cause : null;
  return {
    failure: clipped(error.failureType),
    message: clipped(String(cause?.message ?? error.message ?? error)),
    stack: clipped(cause?.stack ?? error.stack),
  };
}

export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (!TOLD.has(type)) continue;
    yield JSON.stringify({
      type,
      name: data.name,
      nesting: data.nesting,
      file: data.file,
      kind: data.details?.type,
      skip: data.skip !== undefined && data.skip !== false,
      todo: data.todo !== undefined && data.todo !== false,
      error: said(data.details?.error),
      message: clipped(data.message),
    }) + "\n";
  }
}
