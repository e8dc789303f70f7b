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

/** Makes a folder old: `rsync` takes a copy that was made within the same second for as old as its source. */
const age = (folder: string): void => fs.utimesSync(folder, 1e9, 1e9 + 0.125)

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
    age(folder)
  }
  age(root)
}

const kib = 2 ** 10

/** Sizes of every hundred files of a tree: half of them are tiny, and one has more than a third of all bytes. */
const sizes = [[50, kib], [30, 6 * kib], [15, 40 * kib], [4, 200 * kib], [1, 1024 * kib]].flatMap(([files, bytes]) =>
  Array.from({ length: files ?? 0 }, () => bytes ?? 0)
)

/** Folders in a hundred others, each with eight files of many sizes and a link: with 10,000 of them 100,000 entries. */
export const makeMixed = (root: string, folders: number): void => {
  const content = noise(2 * 1024 * kib)
  for (let i = 0; i < folders; i++) {
    const folder = path.join(root, `group-${i % 100}`, `folder-${i}`)
    fs.mkdirSync(folder, { recursive: true })
    for (let j = 0; j < 8; j++) {
      const index = 8 * i + j
      const at = index % 256 * 16
      // 37 and 100 have no factor in common, so that each size is where each other is.
      const bytes = sizes[index * 37 % 100] ?? 0
      fs.writeFileSync(path.join(folder, `file-${j}`), content.subarray(at, at + bytes))
    }
    fs.symlinkSync("file-0", path.join(folder, "link"))
    age(folder)
  }
  for (const name of fs.readdirSync(root)) age(path.join(root, name))
  age(root)
}

/** What `cp -a` makes of it. */
export const duplicate = (tree: string, copy: string): void => {
  const { error, status } = spawnSync("cp", ["-a", tree, copy], { stdio: ["ignore", "ignore", "inherit"] })
  if (status !== 0) throw new Error(`cp ended with ${status}`, { cause: error })
}

export const makeLarge = (file: string, bytes: number): void => {
  const content = noise(2 ** 24)
  for (let written = 0; written < bytes; written += content.length) fs.appendFileSync(file, content)
}

/** Writes what a file system has left to write, so that it doesn't slow down what comes next. */
export const sync = (folder: string): void => void spawnSync("sync", ["-f", folder])

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
