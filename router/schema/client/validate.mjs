// Reads {document, samples: [{ref, value}]} and validates the document against
// AsyncAPI's own schema, and each value against the schema in the document.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const { document, samples } = JSON.parse(readFileSync(0, "utf8"));
const spec = createRequire(import.meta.url)("@asyncapi/specs/schemas/3.0.0.json");
const complaints = [];

// The specification's bundle brings the meta-schema of draft 7 along.
const official = addFormats(new Ajv({ strict: false, allErrors: true, meta: false }));
const valid = official.compile(spec);
if (valid({ ...document, channels: 1 })) {
  complaints.push("the official schema accepts anything");
}
if (!valid(document)) {
  complaints.push(...valid.errors.map((e) => `asyncapi ${e.instancePath} ${e.message}`));
}

const ajv = addFormats(new Ajv({ strict: true, allowUnionTypes: true, allErrors: true }));
ajv.addKeyword("components"); // where the references lead
for (const { at, value, wrong } of samples) {
  const schema = at.reduce((v, k) => v[k], document);
  const check = ajv.compile({ ...schema, components: document.components });
  if (check(value) === Boolean(wrong)) {
    complaints.push(`${at.join("/")}: ${JSON.stringify(value)} ${wrong ? "is accepted" : ajv.errorsText(check.errors)}`);
  }
}
console.log(complaints.join("\n") || `valid: the document and ${samples.length} samples`);
process.exitCode = complaints.length ? 1 : 0;
