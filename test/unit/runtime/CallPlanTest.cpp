#include "device/gpu/CallPlan.h"

#include "DeviceTestSupport.h"
#include "device/gpu/SimLibrary.h"

using namespace peer::runtime;

TEST(CallPlan, AGraphIsForTheAddressesItWasRecordedWith) {
  TemporaryFolder folder;
  std::unique_ptr<Session> session = Session::openParameters(writeDeviceArtifact(folder)).value();
  std::shared_ptr<GpuDevice> device = openSimDevice("sm_90").value();
  DeviceHeap heap(*device);
  CallPlan plan(*device, heap, *session->manifest().findEntry("scale"), 2);
  plan.set(1, 256);
  ASSERT_OK(device->beginCapture());
  Result<DeviceGraph *> graph = device->endCapture();
  ASSERT_OK(graph);
  plan.keep(*graph, /*copies=*/true, {});
  plan.set(1, 256);
  EXPECT_TRUE(plan.hasGraph(true));
  EXPECT_FALSE(plan.hasGraph(false));
  plan.set(1, 512);
  EXPECT_FALSE(plan.hasGraph(true));
}
