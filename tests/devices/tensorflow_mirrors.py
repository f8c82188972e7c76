"""Two virtual processors under TensorFlow: `tf.distribute.MirroredStrategy`."""

import problem
import tensorflow as tf

import keras_norms as kn

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


if __name__ == "__main__":
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        model = problem.model()
    problem.train(model)
    kernel = model.layers[0].kernel.value
    problem.show(**{f"replica {i}": value for i, value in enumerate(kernel.values)})
    assert not kn.audit(model).findings
