// 10,000 small files and one of 1 GiB, which are copied to a real service, by it to another prefix, and back while the
// processes that do it are killed at requests by chance: 20 times each way. It starts a gateway of Ceph. For fewer
// kills, and a tenth of the files: `npm run bench -- cloud-kill 5 0.1`. A third number chooses other requests.
import * as Effect from "effect/Effect"
import { type Killed, surviveKills } from "../packages/cli/test/cloudKills.ts"
import { ceph } from "../packages/ops/test/cephServer.ts"
import { FaultyS3 } from "../packages/ops/test/faultyS3.ts"
import { createBuckets } from "../packages/ops/test/s3Endpoint.ts"
import { withFolder } from "./measure.ts"

const [kills = 20, scale = 1, seed = 1] = process.argv.slice(2).map(Number)
const tree = { small: Math.ceil(10_000 * scale), largeBytes: Math.ceil(64 * scale) * 2 ** 24 }
/** So many elements are on their way, or not recorded, when a process is killed. */
const window = 256

const store = await ceph.start()
const front = await FaultyS3.start({ behind: store.service })
await withFolder(async (place) => {
  await Effect.runPromise(createBuckets(store.service, ["bench"]))
  const { between, different, down, open, up, wrongKeys } = await surviveKills(front, "bench", {
    kills,
    place,
    seed,
    tree
  })

  const tell = (
    way: string,
    { kills, parts, partsAgain, ranges, runs, seconds, smallAgain, uploads }: Killed
  ): void => {
    console.log(`${way}: ${kills} kills of ${runs} processes in ${Math.round(seconds)} s`)
    console.log(`  ${smallAgain} small objects copied once more, ${(smallAgain / kills).toFixed(1)} a kill`)
    console.log(`  ${uploads} uploads begun, ${parts} parts sent, ${partsAgain} of which were there`)
    console.log(`  ${ranges} ranges of the large object asked for`)
  }
  tell("up", up)
  tell("between", between)
  tell("down", down)
  console.log(`${open.length} uploads open, ${wrongKeys.length} keys missing or strange`)
  console.log(different === "" ? "the trees are the same" : different)
  const isLost = different !== "" || open.length + wrongKeys.length + up.partsAgain > 0
  if (isLost || [up, between, down].some(({ kills, smallAgain }) => smallAgain > window * kills)) process.exitCode = 1
}).finally(() => Promise.all([front.stop(), store.stop()]))
