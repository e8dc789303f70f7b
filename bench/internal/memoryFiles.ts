// Files, folders and links in memory, as answers to the requests of `fuse.ts`. Structures of the protocol are named as
// in `linux/fuse.h`. Names are kept as latin1, one character a byte, whatever encoding they are in.
import { constants } from "node:os"
import { type Handlers, opcodes, type Request } from "./fuse.ts"

const { EEXIST, EINVAL, ENOENT, ENOTEMPTY } = constants.errno
const rootId = 1
const noReplace = 1
const folderMode = 0o040000
const linkMode = 0o120000
const typeMask = 0o170000

interface Inode {
  readonly id: number
  /** `fuse_attr`, as the kernel gets it. */
  readonly attributes: Buffer
  readonly entries: Map<string, Inode>
  /** Bytes of a file, with room for more, or the target of a link. */
  content: Buffer
  /** How often the kernel was told of it and has not forgotten it. */
  lookups: number
}

/** Where fields are in `fuse_attr`. */
const at = {
  ino: 0,
  size: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  atimensec: 48,
  mtimensec: 52,
  ctimensec: 56,
  mode: 60,
  nlink: 64,
  uid: 68,
  gid: 72,
  rdev: 76,
  blksize: 80
} as const

const attributesBytes = 88

/** Bits of `fuse_setattr_in.valid`, and where the field is there and in `fuse_attr`, with its length. */
const settable: ReadonlyArray<readonly [bit: number, from: number, to: number, bytes: number]> = [
  [1 << 0, 68, at.mode, 4],
  [1 << 1, 76, at.uid, 4],
  [1 << 2, 80, at.gid, 4],
  [1 << 4, 32, at.atime, 8],
  [1 << 4, 56, at.atimensec, 4],
  [1 << 5, 40, at.mtime, 8],
  [1 << 5, 60, at.mtimensec, 4]
]
const [setSize, setAtimeNow, setMtimeNow] = [1 << 3, 1 << 7, 1 << 8]

const number64 = (buffer: Buffer, offset: number): number => Number(buffer.readBigUInt64LE(offset))

const namesIn = (body: Buffer, offset: number): ReadonlyArray<string> => body.toString("latin1", offset).split("\0")

const touch = ({ attributes }: Inode, ...times: ReadonlyArray<"atime" | "mtime" | "ctime">): void => {
  const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6))
  for (const time of times) {
    attributes.writeBigUInt64LE(now / 1_000_000_000n, at[time])
    attributes.writeUInt32LE(Number(now % 1_000_000_000n), at[`${time}nsec`])
  }
}

const sizeOf = ({ attributes }: Inode): number => number64(attributes, at.size)
const modeOf = ({ attributes }: Inode): number => attributes.readUInt32LE(at.mode)

const resize = (inode: Inode, size: number): void => {
  const before = sizeOf(inode)
  if (size > inode.content.length) {
    const larger = Buffer.alloc(Math.max(size, inode.content.length * 2))
    inode.content.copy(larger, 0, 0, before)
    inode.content = larger
  } else if (size < before) inode.content.fill(0, size, before)
  inode.attributes.writeBigUInt64LE(BigInt(size), at.size)
  inode.attributes.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), at.blocks)
}

const addLink = ({ attributes }: Inode, count: 1 | -1): void => {
  attributes.writeUInt32LE(attributes.readUInt32LE(at.nlink) + count, at.nlink)
}

/** Answers `fuse_attr_out`. The kernel may keep it for no time at all, like all that it is told here. */
const attributesOf = ({ attributes }: Inode): Buffer => Buffer.concat([Buffer.alloc(16), attributes])

/** Answers `fuse_entry_out`. */
const entryOf = (inode: Inode): Buffer => {
  const entry = Buffer.alloc(40)
  entry.writeBigUInt64LE(BigInt(inode.id), 0)
  inode.lookups++
  return Buffer.concat([entry, inode.attributes])
}

/** `fuse_dirent`: what there is at a place in a folder. */
const listed = (name: string, inode: Inode, next: number): Buffer => {
  const entry = Buffer.alloc(Math.ceil((24 + name.length) / 8) * 8)
  entry.writeBigUInt64LE(BigInt(inode.id), 0)
  entry.writeBigUInt64LE(BigInt(next), 8)
  entry.writeUInt32LE(name.length, 16)
  entry.writeUInt32LE(modeOf(inode) >> 12, 20)
  entry.write(name, 24, "latin1")
  return entry
}

const statfs = (): Buffer => {
  const answer = Buffer.alloc(80)
  for (const offset of [0, 8, 16, 24, 32]) answer.writeBigUInt64LE(2n ** 20n, offset)
  for (const offset of [40, 48]) answer.writeUInt32LE(4096, offset)
  answer.writeUInt32LE(255, 44)
  return answer
}

/** Handlers over a new and empty folder. */
export const make = (): Handlers => {
  const inodes = new Map<number, Inode>()
  const openFolders = new Map<number, ReadonlyArray<readonly [string, Inode]>>()
  let lastId = 0

  const add = (mode: number, { gid, uid }: Pick<Request, "gid" | "uid">, rdev = 0): Inode => {
    const inode: Inode = {
      id: ++lastId,
      attributes: Buffer.alloc(attributesBytes),
      entries: new Map(),
      content: Buffer.alloc(0),
      lookups: 0
    }
    inode.attributes.writeBigUInt64LE(BigInt(inode.id), at.ino)
    const fields = [[at.mode, mode], [at.uid, uid], [at.gid, gid], [at.rdev, rdev], [at.blksize, 4096]] as const
    for (const [offset, value] of fields) inode.attributes.writeUInt32LE(value, offset)
    touch(inode, "atime", "mtime", "ctime")
    inodes.set(inode.id, inode)
    return inode
  }
  addLink(add(folderMode | 0o755, { uid: 0, gid: 0 }), 1)

  const inodeOf = (id: number): Inode => {
    const inode = inodes.get(id)
    if (inode === undefined) throw new Error(`The kernel asks about ${id}, which it was not told of or has forgotten`)
    return inode
  }
  const forget = (id: number, lookups: number): void => {
    const inode = inodeOf(id)
    inode.lookups -= lookups
    if (inode.lookups <= 0 && inode.attributes.readUInt32LE(at.nlink) === 0) inodes.delete(id)
  }
  const put = (folder: Inode, name: string, inode: Inode): void => {
    folder.entries.set(name, inode)
    addLink(inode, 1)
    touch(folder, "mtime", "ctime")
    touch(inode, "ctime")
  }
  const remove = (folder: Inode, name: string): void => {
    const inode = folder.entries.get(name)
    if (inode === undefined) return
    folder.entries.delete(name)
    addLink(inode, -1)
    touch(folder, "mtime", "ctime")
    touch(inode, "ctime")
  }
  const putNew = ({ node }: Request, name: string, inode: () => Inode): Buffer | number => {
    const folder = inodeOf(node)
    if (folder.entries.has(name)) return EEXIST
    const added = inode()
    put(folder, name, added)
    return entryOf(added)
  }
  const rename = ({ body, node }: Request, flags: number, offset: number): number => {
    const [from, to] = [inodeOf(node), inodeOf(number64(body, 0))]
    const [oldName = "", newName = ""] = namesIn(body, offset)
    const [moved, replaced] = [from.entries.get(oldName), to.entries.get(newName)]
    if (moved === undefined) return ENOENT
    if ((flags & ~noReplace) !== 0) return EINVAL
    if (replaced !== undefined && (flags & noReplace) !== 0) return EEXIST
    if (replaced !== undefined && replaced.entries.size > 0) return ENOTEMPTY
    remove(to, newName)
    put(to, newName, moved)
    remove(from, oldName)
    return 0
  }
  const unlink = ({ body, node }: Request): number => {
    const folder = inodeOf(node)
    const [name = ""] = namesIn(body, 0)
    const inode = folder.entries.get(name)
    if (inode === undefined) return ENOENT
    if (inode.entries.size > 0) return ENOTEMPTY
    remove(folder, name)
    return 0
  }

  return {
    [opcodes.lookup]: ({ body, node }) => {
      const inode = inodeOf(node).entries.get(namesIn(body, 0)[0] ?? "")
      return inode === undefined ? ENOENT : entryOf(inode)
    },
    [opcodes.forget]: ({ body, node }) => {
      forget(node, number64(body, 0))
      return 0
    },
    [opcodes.batchForget]: ({ body }) => {
      for (let i = 0; i < body.readUInt32LE(0); i++) forget(number64(body, 8 + 16 * i), number64(body, 16 + 16 * i))
      return 0
    },
    [opcodes.getattr]: ({ node }) => attributesOf(inodeOf(node)),
    [opcodes.setattr]: ({ body, node }) => {
      const inode = inodeOf(node)
      const valid = body.readUInt32LE(0)
      const type = modeOf(inode) & typeMask
      if ((valid & setSize) !== 0) {
        resize(inode, number64(body, 16))
        touch(inode, "mtime")
      }
      for (const [bit, from, to, bytes] of settable) {
        if ((valid & bit) !== 0) body.copy(inode.attributes, to, from, from + bytes)
      }
      inode.attributes.writeUInt32LE(type | modeOf(inode) & ~typeMask, at.mode)
      if ((valid & setAtimeNow) !== 0) touch(inode, "atime")
      if ((valid & setMtimeNow) !== 0) touch(inode, "mtime")
      touch(inode, "ctime")
      return attributesOf(inode)
    },
    [opcodes.readlink]: ({ node }) => inodeOf(node).content,
    [opcodes.symlink]: (request) => {
      const [name = "", target = ""] = namesIn(request.body, 0)
      return putNew(request, name, () => {
        const link = add(linkMode | 0o777, request)
        resize(link, target.length)
        link.content.write(target, "latin1")
        return link
      })
    },
    [opcodes.mknod]: (request) =>
      putNew(
        request,
        namesIn(request.body, 16)[0] ?? "",
        () => add(request.body.readUInt32LE(0), request, request.body.readUInt32LE(4))
      ),
    [opcodes.mkdir]: (request) =>
      putNew(
        request,
        namesIn(request.body, 8)[0] ?? "",
        () => add(folderMode | request.body.readUInt32LE(0), request)
      ),
    [opcodes.unlink]: unlink,
    [opcodes.rmdir]: unlink,
    [opcodes.rename]: (request) => rename(request, 0, 8),
    [opcodes.rename2]: (request) => rename(request, request.body.readUInt32LE(8), 16),
    [opcodes.link]: (request) =>
      putNew(request, namesIn(request.body, 8)[0] ?? "", () => inodeOf(number64(request.body, 0))),
    [opcodes.create]: (request) => {
      const entry = putNew(
        request,
        namesIn(request.body, 16)[0] ?? "",
        () => add(request.body.readUInt32LE(4), request)
      )
      return typeof entry === "number" ? entry : Buffer.concat([entry, Buffer.alloc(16)])
    },
    // A file without a name is forgotten with its last descriptor, unless it is linked before that.
    [opcodes.tmpfile]: (request) =>
      Buffer.concat([entryOf(add(request.body.readUInt32LE(4), request)), Buffer.alloc(16)]),
    [opcodes.open]: () => Buffer.alloc(16),
    [opcodes.read]: ({ body, node }) => {
      const inode = inodeOf(node)
      const offset = number64(body, 8)
      return inode.content.subarray(offset, Math.min(offset + body.readUInt32LE(16), sizeOf(inode)))
    },
    [opcodes.write]: ({ body, node }) => {
      const inode = inodeOf(node)
      const offset = number64(body, 8)
      const bytes = body.subarray(40, 40 + body.readUInt32LE(16))
      if (offset + bytes.length > sizeOf(inode)) resize(inode, offset + bytes.length)
      bytes.copy(inode.content, offset)
      touch(inode, "mtime", "ctime")
      const answer = Buffer.alloc(8)
      answer.writeUInt32LE(bytes.length, 0)
      return answer
    },
    [opcodes.flush]: () => 0,
    [opcodes.release]: () => 0,
    [opcodes.fsync]: () => 0,
    [opcodes.fsyncdir]: () => 0,
    [opcodes.access]: () => 0,
    [opcodes.statfs]: statfs,
    [opcodes.opendir]: ({ node }) => {
      openFolders.set(++lastId, Array.from(inodeOf(node).entries))
      const answer = Buffer.alloc(16)
      answer.writeBigUInt64LE(BigInt(lastId), 0)
      return answer
    },
    [opcodes.readdir]: ({ body }) => {
      const entries = openFolders.get(number64(body, 0)) ?? []
      const parts: Array<Buffer> = []
      let room = body.readUInt32LE(16)
      for (let i = number64(body, 8); i < entries.length; i++) {
        const [name, inode] = entries[i] ?? ["", inodeOf(rootId)]
        const part = listed(name, inode, i + 1)
        room -= part.length
        if (room < 0) break
        parts.push(part)
      }
      return Buffer.concat(parts)
    },
    [opcodes.releasedir]: ({ body }) => {
      openFolders.delete(number64(body, 0))
      return 0
    }
  }
}
