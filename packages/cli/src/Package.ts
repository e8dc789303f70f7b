/**
 * What this package tells of itself, and the files that it serves: beside the sources, and beside what is bundled.
 */
import { readFileSync } from "node:fs"

const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8")
)

/** Version of the command. */
export const version = manifest.version

/** The built page. */
export const page = new URL(import.meta.url.endsWith(".ts") ? "../dist/page/" : "./page/", import.meta.url)
