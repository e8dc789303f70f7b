/**
 * The command of an earlier version, as it was published: `node tools/oldVersion.mjs` has packed it.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { brotliDecompressSync } from "node:zlib"

const commit = "2d630f74"

const unpack = (): string => {
  const texts: Readonly<Record<string, string>> = JSON.parse(
    brotliDecompressSync(fs.readFileSync(path.join(import.meta.dirname, "fixtures", `${commit}.json.br`))).toString()
  )
  // It finds native code that it shares with the present version in the folders above.
  const cache = path.join(import.meta.dirname, "../../../node_modules/.cache")
  fs.mkdirSync(cache, { recursive: true })
  const folder = path.join(cache, `fanout-${commit}`)
  if (fs.existsSync(folder)) return folder
  const unfinished = fs.mkdtempSync(`${folder}-`)
  for (const [name, text] of Object.entries(texts)) {
    fs.mkdirSync(path.dirname(path.join(unfinished, name)), { recursive: true })
    fs.writeFileSync(path.join(unfinished, name), text)
  }
  try {
    fs.renameSync(unfinished, folder)
  } catch {
    // Another test file was first.
    fs.rmSync(unfinished, { recursive: true })
  }
  return folder
}

/** What starts the command of the version before, as `command` starts the present one. */
export const oldCommand = [process.execPath, path.join(unpack(), "bin/fanout.js")] as const
