// Reads the metadata of 10,000 photos, made here on the file system of `TMPDIR`, beside exiftool: what it reads with
// `-fast2`, and with `-fast`. Each photo has EXIF, GPS, what only its maker reads, a small picture and XMP. All is read
// once before, so that no disk is measured. Then: memory, with 1,000 photos and with all.
import * as fs from "node:fs"
import * as path from "node:path"
import { makePhoto } from "./internal/photos.ts"
import {
  byTurns,
  type Command,
  fanout,
  isInstalled,
  print,
  ratio,
  removeDatabase,
  usageOf,
  withFolder
} from "./measure.ts"

const rounds = 3
const photos = { folders: 100, inFolder: 100 }

const exiftool = (root: string, ...args: ReadonlyArray<string>): Command => ({
  name: ["exiftool", ...args].join(" "),
  argv: ["exiftool", ...args, "-q", "-j", "-r", root]
})

await withFolder(async (folder) => {
  const root = path.join(folder, "photos")
  const db = path.join(folder, "jobs.db")
  for (let i = 0; i < photos.folders; i++) {
    const inner = path.join(root, `folder-${i}`)
    fs.mkdirSync(inner, { recursive: true })
    for (let j = 0; j < photos.inFolder; j++) {
      fs.writeFileSync(path.join(inner, `photo-${j}.jpg`), makePhoto(i * photos.inFolder + j))
    }
  }
  const own = (...paths: ReadonlyArray<string>): Command => ({
    name: "fanout metadata --json",
    argv: [process.execPath, fanout, "metadata", "--json", "--db", db, ...paths]
  })
  const peers = isInstalled("exiftool") ? [exiftool(root, "-fast2"), exiftool(root, "-fast")] : []
  console.log(`${photos.folders * photos.inFolder} photos${peers.length === 0 ? " (exiftool is not installed)" : ""}`)
  const results = byTurns(rounds, [own(root), ...peers], () => removeDatabase(db))
  print(results)
  const [mine, ...others] = results
  for (const other of others) {
    if (mine !== undefined) console.log(`${other.name} takes ${ratio(other, mine).toFixed(2)} times as long`)
  }
  if (!isInstalled("/usr/bin/time")) return
  const some = Array.from({ length: photos.folders / 10 }, (_, i) => path.join(root, `folder-${i}`))
  for (const [count, paths] of [["a tenth", some], ["all", [root]]] as const) {
    removeDatabase(db)
    const { residentMiB } = await usageOf(own(...paths))
    console.log(`${count} of them: ${residentMiB.toFixed(0)} MiB at most`)
  }
})
