import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { afterAll, beforeAll } from "vitest"
import { CephServer, isCephMissing } from "./cephServer.ts"
import { objectStoreContract } from "./objectStoreContract.ts"
import { layerOf } from "./s3Endpoint.ts"

let ceph: CephServer | undefined

beforeAll(async () => {
  if (!isCephMissing) ceph = await CephServer.start()
})
afterAll(() => ceph?.stop())

const layer = Layer.suspend(() => {
  if (ceph === undefined) throw new Error("Ceph was not started")
  return layerOf(ceph.service, ["one", "two"])
})

objectStoreContract("Ceph", {
  bucket: "one",
  otherBucket: "two",
  partBytes: 5 * 2 ** 20,
  test: (name, body) => it.live.skipIf(isCephMissing)(name, () => Effect.provide(body, layer))
})
