// Files that benchmarks make, and trees that were there.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

export interface Shape {
  readonly folders: number
  readonly filesInFolder: number
  readonly sizeBytes: number
}

/** Content that is the same each time, and has no pattern. */
export const noise = (bytes: number): Buffer => {
  const words = new Uint32Array(Math.ceil(bytes / 4))
  let state = 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return Buffer.from(words.buffer, 0, bytes)
}

/** Files next to each other differ: each begins at another of 256 places of the same content. */
export const makeTree = (root: string, { filesInFolder, folders, sizeBytes }: Shape): void => {
  const step = 16
  const content = noise(sizeBytes + 256 * step)
  for (let i = 0; i < folders; i++) {
    const folder = path.join(root, `folder-${i}`)
    fs.mkdirSync(folder, { recursive: true })
    for (let j = 0; j < filesInFolder; j++) {
      const at = (i * filesInFolder + j) % 256 * step
      fs.writeFileSync(path.join(folder, `file-${j}`), content.subarray(at, at + sizeBytes))
    }
  }
}

export const makeLarge = (file: string, bytes: number): void => {
  const content = noise(2 ** 24)
  for (let written = 0; written < bytes; written += content.length) fs.appendFileSync(file, content)
}

/** How many files a tree has, and how many bytes they are. Links are not followed. */
export const sizeOf = (folder: string): { readonly files: number; readonly bytes: number } => {
  let files = 0
  let bytes = 0
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const name = path.join(folder, entry.name)
    const inner = entry.isDirectory()
      ? sizeOf(name)
      : entry.isFile()
      ? { files: 1, bytes: fs.statSync(name).size }
      : { files: 0, bytes: 0 }
    files += inner.files
    bytes += inner.bytes
  }
  return { files, bytes }
}

/** Brings the files of a tree into the page cache. */
export const readAll = (tree: string): void => {
  spawnSync("sh", ["-c", `find "$0" -type f -print0 | xargs -0 cat > /dev/null`, tree])
}
