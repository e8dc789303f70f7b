// What the command does with files beside others who do: `npm run bench -- copy [ROW …] [TREE] [SCALE]`, all rows where
// none is named. What has a slash in it is a tree that is used in place of one that is made; a number is how many times
// as many files there are. Every row has a new ext4 for itself, where root can mount one. A run counts only if its copy
// is as the source.
import * as fs from "node:fs"
import * as path from "node:path"
import { type Contest, hold } from "./internal/contest.ts"
import { besideOthers, besidePlain, copying, type Work } from "./internal/copies.ts"
import * as million from "./internal/million.ts"
import { isRoot, type Place, type Size, withPlace } from "./internal/newFileSystem.ts"
import { checking, copyingOne, deleting, hashing, moving, verifying } from "./internal/otherWorks.ts"
import { makeLarge, makeMixed, makeTree, readAll, type Shape, sizeOf } from "./internal/trees.ts"

interface Row extends Partial<Size> {
  readonly what: string
  /** Why it can't be run here, or nothing. */
  readonly obstacle?: string
  /** It has a second file system. */
  readonly hasOther?: boolean
  readonly run: (place: Place, other: Place) => void | Promise<void>
}

const args = process.argv.slice(2)
const named = args.find((arg) => arg.includes("/"))
const numbers = args.filter((arg) => Number(arg) > 0)
const scale = Number(numbers[0] ?? 1)

const show = (count: number): string => count.toLocaleString("en")
const inFolders = (count: number): string => count === 1 ? "in one folder" : `in ${show(count)} folders`

/** Files of 4 KiB, a hundred in each folder. */
const smallFiles = (files: number, sizeBytes = 4096): Shape => ({
  folders: Math.max(1, Math.round(files / 100 * scale)),
  filesInFolder: 100,
  sizeBytes
})
const whatOf = ({ filesInFolder, folders, sizeBytes }: Shape): string =>
  `${show(folders * filesInFolder)} files of ${sizeBytes / 1024} KiB ${inFolders(folders)}`

const mixedFolders = Math.max(1, Math.round(10_000 * scale))
const mixed = `${show(10 * mixedFolders)} files, links and folders of ${(2 * scale).toFixed(2)} GiB`
const measured = named === undefined ? undefined : sizeOf(named)
const tree = measured === undefined
  ? mixed
  : `${named}: ${show(measured.files)} files of ${(measured.bytes / 2 ** 20).toFixed(0)} MiB`
const treeSize: Size = { gib: Math.max(6, Math.ceil(3 * (measured?.bytes ?? 0) / 2 ** 30)) }

const pathIn = ({ folder }: Place): string => path.join(folder, "source")

const made = (place: Place, shape: Shape): string => {
  makeTree(pathIn(place), shape)
  return pathIn(place)
}

const mixedIn = (place: Place): string => {
  makeMixed(pathIn(place), mixedFolders)
  return pathIn(place)
}

const treeIn = (place: Place): string => {
  const source = named ?? mixedIn(place)
  readAll(source)
  return source
}

const largeBytes = Math.ceil(128 * scale) * 2 ** 24
const largeIn = (place: Place): string => {
  makeLarge(pathIn(place), largeBytes)
  return pathIn(place)
}

/** A row that copies small files. */
const copyingSmall = (shape: Shape, how: Omit<Work, "source">, rest: Partial<Row> = {}): Row => ({
  what: whatOf(shape),
  run: (place) => hold(copying(place, { ...how, source: made(place, shape) })),
  ...rest
})

const holdAll = (contests: ReadonlyArray<Contest>): void => contests.forEach(hold)

const few = smallFiles(20_000)
const some = smallFiles(100_000)
const many = smallFiles(200_000)
const medium: Shape = { folders: 1, filesInFolder: 100, sizeBytes: 2 ** 20 }
const limits = { "C, 1 thread": 0, "C, 2 threads": 0, "Node, 2 threads": 0 }
/** Room for three of the largest trees of small files. */
const roomy: Size = { gib: 6, inodes: 700_000 }

const millions: ReadonlyArray<Shape> = [
  { folders: 1000, filesInFolder: Math.ceil(1000 * scale), sizeBytes: 0 },
  { folders: 1, filesInFolder: Math.ceil(1_000_000 * scale), sizeBytes: 0 }
]

const rows: Readonly<Record<string, Row>> = {
  many: copyingSmall(many, { pairs: besideOthers({ "cp -a": 1.6, "rsync -a": 2.4, ...limits }) }, roomy),
  tree: {
    ...treeSize,
    what: tree,
    run: (place) => {
      const pairs = besideOthers({ "cp -a": 1.5, "rsync -a": 2, rclone: 3, "C, 2 threads": 0, "Node, 2 threads": 0 })
      hold(copying(place, { source: treeIn(place), pairs }))
    }
  },
  verified: copyingSmall(some, { pairs: besidePlain(0.6, "--verify") }),
  durable: copyingSmall(smallFiles(20_000, 2 ** 14), {
    pairs: [
      ...besidePlain(0.8, "--durable"),
      ["--durable --verify", "rsync --fsync, -anc", 3],
      ["--durable", "one by one", 4]
    ]
  }, { isOnDisk: true }),
  options: copyingSmall(some, { pairs: besidePlain(0.8, "--checksums", "--preserve all", "--exclude, 100 rules") }),
  links: {
    ...treeSize,
    what: `${mixed}, with links followed`,
    run: (place) => hold(copying(place, { source: mixedIn(place), pairs: besidePlain(0.8, "-L") }))
  },
  conflict: copyingSmall(some, {
    pairs: besidePlain(0.8, ...["overwrite", "skip", "rename", "error"].map((mode) => `--conflict ${mode}`))
  }),
  move: {
    what: `${whatOf(some)}, to another file system`,
    hasOther: true,
    run: (place, other) => hold(moving(place, other, made(place, some)))
  },
  again: copyingSmall(many, { pairs: besideOthers({ "rsync -a": 1 }), isAgain: true }, {
    ...roomy,
    what: `${whatOf(many)}, copied before`
  }),
  verify: { what: whatOf(some), run: (place) => hold(verifying(place, made(place, some))) },
  "verify-tree": { ...treeSize, what: tree, run: (place) => hold(verifying(place, treeIn(place))) },
  hash: {
    what: whatOf(some),
    run: (place) => {
      const source = made(place, some)
      holdAll([hashing(place, source, "blake3", 0.9), hashing(place, source, "sha256", 0), ...checking(place, source)])
    }
  },
  "hash-tree": {
    ...treeSize,
    what: tree,
    run: (place) => {
      const source = treeIn(place)
      holdAll([
        hashing(place, source, "blake3", 0.9),
        hashing(place, source, "sha256", 1.4),
        ...checking(place, source)
      ])
    }
  },
  "hash-large": {
    what: `one file of ${show(largeBytes / 2 ** 20)} MiB`,
    run: (place) => {
      const source = largeIn(place)
      holdAll([hashing(place, source, "blake3", 0), hashing(place, source, "sha256", 0), ...checking(place, source)])
    }
  },
  delete: { ...roomy, what: whatOf(many), run: (place) => hold(deleting(place, made(place, many))) },
  one: { what: "one small file", run: (place) => hold(copyingOne(place)) },
  small: copyingSmall(few, {
    pairs: besideOthers({ "cp -a": 1.5, "rsync -a": 2.3, rclone: 3.5, "fs-extra": 4, "fs.cp": 12, ...limits })
  }),
  cold: copyingSmall(few, {
    pairs: besideOthers({ "cp -a": 2, "rsync -a": 1.1, "C, 2 threads": 0, "Node, 2 threads": 0 }),
    isCold: true
  }, {
    what: `${whatOf(few)}, with nothing of them in the page cache`,
    ...isRoot ? {} : { obstacle: "needs root" }
  }),
  medium: copyingSmall(medium, {
    pairs: besideOthers({ "cp -a": 0.9, "C, 1 thread": 0, "Node, 1 thread": 0 }),
    isWithoutStart: true
  }, { what: "100 files of 1 MiB, without what it takes to copy an empty file" }),
  large: {
    what: `one file of ${show(largeBytes / 2 ** 20)} MiB`,
    run: (place) =>
      hold(copying(place, { source: largeIn(place), pairs: besideOthers({ "cp -a": 0.8, "rsync -a": 0 }) }))
  },
  ...Object.fromEntries(millions.map((shape, index) => [index === 0 ? "million" : "million-flat", {
    what: `${show(shape.folders * shape.filesInFolder)} empty files ${inFolders(shape.folders)}`,
    // Each file has an inode, and so has its copy.
    gib: 4,
    inodes: 2_200_000,
    run: (place: Place) => million.measure(place, shape)
  }]))
}

const withPlaces = (size: Size, hasOther: boolean, use: Row["run"]): Promise<void> =>
  withPlace(size, (place) => hasOther ? withPlace(size, (other) => use(place, other)) : use(place, place))

const chosen = args.filter((arg) => arg !== named && !numbers.includes(arg))
const unknown = chosen.find((name) => !Object.hasOwn(rows, name))
if (unknown !== undefined) {
  console.error(`${unknown} is none of the rows: ${Object.keys(rows).join(", ")}`)
  process.exitCode = 2
} else {
  for (const [name, row] of Object.entries(rows)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue
    console.log(`\n${name}: ${row.what}`)
    if (row.obstacle !== undefined) console.log(`skipped: ${row.obstacle}`)
    else {
      await withPlaces({ gib: 6, ...row }, row.hasOther === true, (place, other) => {
        console.log(`in ${place.what}`)
        const isSame = fs.statSync(place.folder).dev === fs.statSync(other.folder).dev
        if (row.hasOther !== true || !isSame) return row.run(place, other)
        console.log("skipped: needs a second file system")
      })
    }
  }
}
