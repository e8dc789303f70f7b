// Copies files one after the other, each so that it survives a power failure: `durablePeer.mjs SOURCE COPY`.
import * as fs from "node:fs"
import * as path from "node:path"

/** @param {string} name */
const sync = (name) => {
  const descriptor = fs.openSync(name, "r")
  fs.fsyncSync(descriptor)
  fs.closeSync(descriptor)
}

/**
 * @param {string} source
 * @param {string} copy
 */
const copyFolder = (source, copy) => {
  fs.mkdirSync(copy)
  sync(path.dirname(copy))
  for (const entry of fs.readdirSync(source, { withFileTypes: true })) {
    const [from, to] = [path.join(source, entry.name), path.join(copy, entry.name)]
    if (entry.isDirectory()) copyFolder(from, to)
    else {
      fs.copyFileSync(from, `${to}.part`)
      sync(`${to}.part`)
      fs.renameSync(`${to}.part`, to)
      sync(copy)
    }
  }
}

const [source = "", copy = ""] = process.argv.slice(2)
copyFolder(source, copy)
