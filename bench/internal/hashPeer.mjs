// Hashes a file, or all in a folder, on one thread with a library, and prints lines as `b3sum` does:
// `hashPeer.mjs LIBRARY ALGORITHM PATH`.
import { blake3 } from "@noble/hashes/blake3.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { createBLAKE3, createSHA256 } from "hash-wasm"
import * as fs from "node:fs"
import * as path from "node:path"

const [library = "", algorithm = "", root = ""] = process.argv.slice(2)
const isBlake3 = algorithm === "blake3"
const wasm = library === "hash-wasm" ? await (isBlake3 ? createBLAKE3() : createSHA256()) : undefined
const noble = isBlake3 ? blake3 : sha256
const buffer = new Uint8Array(2 ** 20)

/** @param {string} file */
const digestOf = (file) => {
  const hasher = wasm?.init() ?? noble.create()
  const descriptor = fs.openSync(file, "r")
  for (;;) {
    const length = fs.readSync(descriptor, buffer)
    if (length === 0) break
    hasher.update(buffer.subarray(0, length))
  }
  fs.closeSync(descriptor)
  const digest = hasher.digest()
  return typeof digest === "string" ? digest : Buffer.from(digest).toString("hex")
}

/**
 * @param {string} folder
 * @returns {ReadonlyArray<string>}
 */
const filesIn = (folder) =>
  fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name)
    return entry.isDirectory() ? filesIn(file) : entry.isFile() ? [file] : []
  })

const files = fs.statSync(root).isFile() ? [root] : filesIn(root)
process.stdout.write(files.map((file) => `${digestOf(file)}  ${file}\n`).join(""))
