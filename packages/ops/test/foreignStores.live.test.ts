import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { afterAll, beforeAll, describe } from "vitest"
import type { RunningStore } from "./foreignStore.ts"
import { foreignStores } from "./foreignStores.ts"
import { objectStoreContract } from "./objectStoreContract.ts"
import { layerOf } from "./s3Endpoint.ts"

for (const { differences, isMissing, name, start } of foreignStores) {
  describe.skipIf(isMissing)(name, () => {
    let store: RunningStore | undefined
    beforeAll(async () => {
      store = await start()
    })
    afterAll(() => store?.stop())

    const layer = Layer.suspend(() => {
      if (store === undefined) throw new Error(`${name} was not started`)
      return layerOf(store.service, ["one", "two"])
    })
    objectStoreContract(name, {
      bucket: "one",
      otherBucket: "two",
      partBytes: 5 * 2 ** 20,
      differences,
      test: (name, body) => it.live(name, () => Effect.provide(body, layer))
    })
  })
}
