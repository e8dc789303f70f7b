// The formatters that dprint.json names. dprint's own program is a binary for each platform and breaks `npm ci`; its
// formatters are WebAssembly and run anywhere.
import { createContext } from "@dprint/formatter"
import { getPath as json } from "@dprint/json"
import { getPath as markdown } from "@dprint/markdown"
import { getPath as typescript } from "@dprint/typescript"
import { readFileSync } from "node:fs"
import { dirname } from "node:path"

const root = dirname(import.meta.dirname)
const { excludes, includes, indentWidth, lineWidth, newLineKind, ...config } = JSON.parse(
  readFileSync(`${root}/dprint.json`, "utf8")
)
const context = createContext({ indentWidth, lineWidth, newLineKind })
for (const [name, path] of Object.entries({ json, markdown, typescript })) {
  context.addPlugin(readFileSync(path()), config[name])
}
for (const { message, propertyName } of context.getConfigDiagnostics()) {
  throw new Error(`dprint.json: ${propertyName}: ${message}`)
}

/** Which files are formatted. */
export const patterns = { excludes, includes }

/**
 * Gives the text of a file as dprint.json says that it reads.
 *
 * @param {string} filePath
 * @param {string} fileText
 * @returns {string}
 */
export const format = (filePath, fileText) => {
  try {
    return context.formatText({ filePath, fileText })
  } catch (cause) {
    throw new Error(`${filePath} can't be formatted`, { cause })
  }
}
