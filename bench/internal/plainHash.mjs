// Hashes a file, or all in a folder, with nothing but what Node and the addon have, and prints lines as `b3sum` does:
// `plainHash.mjs THREADS ALGORITHM PATH`. The main thread is one of these; each takes 64 files at a time.
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

// The addon is a dependency of the package that hashes.
const { Blake3Hasher } = createRequire(new URL("../../packages/ops/package.json", import.meta.url))(
  "@napi-rs/blake-hash"
)

const filesAtOnce = 64
const buffer = Buffer.alloc(2 ** 19)

/** @param {string} algorithm */
const makeHasher = (algorithm) => {
  if (algorithm !== "blake3") return () => crypto.createHash(algorithm)
  const hasher = new Blake3Hasher()
  return () => {
    hasher.reset()
    return hasher
  }
}

/**
 * Gives lines, by the place of the first of the files.
 *
 * @param {ReadonlyArray<string>} files
 * @param {string} algorithm
 * @param {Int32Array} next
 */
const hashSome = (files, algorithm, next) => {
  const start = makeHasher(algorithm)
  /** @param {string} file */
  const lineOf = (file) => {
    const hasher = start()
    const descriptor = fs.openSync(file, "r")
    for (;;) {
      const length = fs.readSync(descriptor, buffer)
      if (length > 0) hasher.update(length === buffer.length ? buffer : buffer.subarray(0, length))
      if (length < buffer.length) break
    }
    fs.closeSync(descriptor)
    return `${hasher.digest("hex")}  ${file}\n`
  }
  const lines = []
  for (;;) {
    const first = Atomics.add(next, 0, filesAtOnce)
    if (first >= files.length) return lines
    lines.push({ first, text: files.slice(first, first + filesAtOnce).map(lineOf).join("") })
  }
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

if (isMainThread) {
  const [threads = "", algorithm = "", root = ""] = process.argv.slice(2)
  const files = fs.statSync(root).isFile() ? [root] : filesIn(root)
  const next = new Int32Array(new SharedArrayBuffer(4))
  const others = Array.from({ length: Number(threads) - 1 }, () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { files, algorithm, next } })
    return new Promise((resolve) => void worker.once("message", resolve))
  })
  const lines = hashSome(files, algorithm, next)
  for (const more of await Promise.all(others)) lines.push(...more)
  process.stdout.write(
    lines.toSorted((a, b) => a.first - b.first).map(({ text }) => text).join(""),
    () => process.exit()
  )
} else {
  const { algorithm, files, next } = workerData
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window
  parentPort?.postMessage(hashSome(files, algorithm, next))
}
